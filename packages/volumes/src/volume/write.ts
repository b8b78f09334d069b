import { FuseError } from '@soulbox/fuse';
import type { BlockStore } from '../blocks/block-store.ts';
import { blockBytes, fileBytesMax, inlineBytes } from '../limits.ts';
import { hasBlocks, isFile, isFolder } from '../metadata/inode.ts';
import type { Inode } from '../metadata/inode.ts';
import type { Block, BlockChange, Metadata, Note } from '../metadata/metadata.ts';

export interface WriteOptions {
  /** A number, or the end of the file at the moment of the write. */
  readonly offset: number | 'end';
  readonly killSuidgid?: boolean;
  readonly note?: Note<void>;
}

export interface WriteTools {
  readonly metadata: Metadata;
  readonly blocks: BlockStore;
}

const zeros = Buffer.alloc(64 * 1024);

/**
 * Writes to a file. The caller has it alone. Data come first, then the transaction that names them: what a process that
 * is killed in between leaves lies behind the length of a block, in a block that nothing names, or in bytes that the
 * unanswered request was to overwrite.
 */
export async function writeFile(
  tools: WriteTools,
  ino: number,
  data: Uint8Array,
  options: WriteOptions,
): Promise<number> {
  const { metadata, blocks } = tools;
  const inode = await findFile(metadata, ino);
  const start = options.offset === 'end' ? inode.size : options.offset;
  const end = start + data.length;
  if (end > fileBytesMax) throw new FuseError('EFBIG');
  if (data.length === 0) return 0;
  const first = Math.floor(start / blockBytes);
  const last = Math.floor((end - 1) / blockBytes);
  const found = hasBlocks(inode) ? await metadata.blocks(ino, first, last) : [];
  const present = new Map(found.map((block) => [block.index, block]));
  const pieces = Array.from({ length: last - first + 1 }, (_, position) => {
    const index = first + position;
    const from = Math.max(0, start - index * blockBytes);
    const source = Math.max(0, index * blockBytes - start);
    const piece = data.subarray(source, Math.min(data.length, source + blockBytes - from));
    return { index, from, piece, old: present.get(index) };
  });
  const growth = pieces.reduce(
    (sum, { from, piece, old }) => sum + Math.max(0, from + piece.length - (old?.length ?? 0)),
    0,
  );
  metadata.checkRoom(growth);
  blocks.checkRoom(data.length);
  const made: string[] = [];
  try {
    const changes: BlockChange[] = [];
    for (const piece of pieces) changes.push(await placePiece(tools, ino, piece, made));
    const killSuidgid = options.killSuidgid ?? false;
    await metadata.write(ino, { blocks: changes, sizeAtLeast: end, killSuidgid }, options.note);
  } catch (error) {
    await blocks.remove(made);
    throw error;
  }
  return data.length;
}

export async function findFile(metadata: Metadata, ino: number): Promise<Inode> {
  const inode = await metadata.find(ino);
  if (inode === undefined) throw new FuseError('ESTALE');
  if (isFolder(inode)) throw new FuseError('EISDIR');
  if (!isFile(inode)) throw new FuseError('EINVAL');
  return inode;
}

export interface Piece {
  readonly index: number;
  /** Where in the block it begins. */
  readonly from: number;
  readonly piece: Uint8Array;
  readonly old: Block | undefined;
}

/** Writes a piece of one block, and says what the block is then. Names of new blocks are added to `made`. */
export async function placePiece(
  { metadata, blocks }: WriteTools,
  ino: number,
  { index, from, piece, old }: Piece,
  made: string[],
): Promise<BlockChange> {
  const oldLength = old?.length ?? 0;
  const length = Math.max(oldLength, from + piece.length);
  if (typeof old?.content !== 'string' && length <= inlineBytes) {
    const content = Buffer.alloc(length);
    if (old !== undefined) content.set(old.content);
    content.set(piece, from);
    return { index, length, content, old };
  }
  if (typeof old?.content === 'string' && old.generation === metadata.facts().generation) {
    const { content } = old;
    if (old.digest !== undefined) await metadata.setDigest(ino, old, undefined);
    await writeZeros(blocks, content, oldLength, from);
    await blocks.write(content, piece, from);
    return { index, length, content, old };
  }
  const content = blocks.newName();
  made.push(content);
  const isCovered = from === 0 && piece.length >= oldLength;
  if (old !== undefined && !isCovered) {
    if (typeof old.content === 'string') {
      await blocks.copy(old.content, content, oldLength);
      await writeZeros(blocks, content, oldLength, from);
    } else await blocks.write(content, old.content, 0);
  }
  await blocks.write(content, piece, from);
  return { index, length, content, old };
}

/** What a block has behind its length is not known, and becomes visible when it grows. */
async function writeZeros(blocks: BlockStore, name: string, from: number, to: number): Promise<void> {
  for (let offset = from; offset < to; offset += zeros.length)
    await blocks.write(name, zeros.subarray(0, to - offset), offset);
}
