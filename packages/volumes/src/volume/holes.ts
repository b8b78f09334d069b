import { FuseError } from '@soulbox/fuse';
import { blockBytes, fileBytesMax } from '../limits.ts';
import type { Block, BlockChange } from '../metadata/metadata.ts';
import { findFile, placePiece } from './write.ts';
import type { WriteTools } from './write.ts';

const blocksAtOnce = 1024;

/** Promises that there is room for a range. Nothing is reserved: the disk and the quota can be used up later. */
export async function allocateRange(
  { metadata, blocks }: WriteTools,
  ino: number,
  range: { readonly offset: number; readonly length: number; readonly keepSize: boolean },
): Promise<void> {
  const inode = await findFile(metadata, ino);
  const end = range.offset + range.length;
  if (end > fileBytesMax) throw new FuseError('EFBIG');
  const growth = Math.max(0, Math.min(range.length, end - inode.allocated));
  metadata.checkRoom(growth);
  blocks.checkRoom(growth);
  await metadata.write(ino, { blocks: [], sizeAtLeast: range.keepSize ? 0 : end, killSuidgid: false });
}

/** Makes a range read as zeros. Whole blocks become holes, without a look at each of them. The caller has the file alone. */
export async function clearRange(
  tools: WriteTools,
  ino: number,
  range: { readonly offset: number; readonly length: number; readonly keepSize: boolean },
): Promise<void> {
  const { metadata, blocks } = tools;
  await findFile(metadata, ino);
  const { offset } = range;
  const end = offset + range.length;
  if (end > fileBytesMax) throw new FuseError('EFBIG');
  const holes = [Math.ceil(offset / blockBytes), Math.floor(end / blockBytes)] as const;
  const edges = new Set([Math.floor(offset / blockBytes), Math.floor(end / blockBytes)]);
  const changes: BlockChange[] = [];
  const made: string[] = [];
  try {
    for (const index of edges) {
      if (index >= holes[0] && index < holes[1]) continue;
      const start = index * blockBytes;
      const [from, to] = [Math.max(0, offset - start), Math.min(blockBytes, end - start)];
      const [old] = await metadata.blocks(ino, index, index);
      if (old === undefined || from >= Math.min(to, old.length)) continue;
      if (to >= old.length && from > 0) changes.push(cutBlock(old, from));
      else {
        const piece = Buffer.alloc(Math.min(to, old.length) - from);
        blocks.checkRoom(piece.length);
        changes.push(await placePiece(tools, ino, { index, from, piece, old }, made));
      }
    }
    await metadata.write(ino, {
      blocks: changes,
      ...(holes[0] < holes[1] ? { holes } : {}),
      sizeAtLeast: range.keepSize ? 0 : end,
      killSuidgid: false,
    });
  } catch (error) {
    await blocks.remove(made);
    throw error;
  }
}

function cutBlock(old: Block, length: number): BlockChange {
  const { index, content } = old;
  return { index, length, old, content: typeof content === 'string' ? content : content.subarray(0, length) };
}

/** The first byte from `offset` on that is data, or that is in a hole. The end of the file is a hole. Throws ENXIO. */
export async function seekFile(
  { metadata }: WriteTools,
  ino: number,
  offset: number,
  wanted: 'data' | 'hole',
): Promise<number> {
  const { size } = await findFile(metadata, ino);
  if (offset < 0 || offset >= size) throw new FuseError('ENXIO');
  let position = offset;
  for (;;) {
    const first = Math.floor(position / blockBytes);
    const found = await metadata.blocks(ino, first, Number.MAX_SAFE_INTEGER, blocksAtOnce);
    for (const { index, length } of found) {
      const [start, end] = [index * blockBytes, index * blockBytes + length];
      if (end <= position) continue;
      if (wanted === 'data') return Math.max(position, start);
      if (start > position) return position;
      position = end;
      if (length < blockBytes) return Math.min(position, size);
    }
    if (found.length === blocksAtOnce) {
      position = Math.max(position, ((found.at(-1)?.index ?? 0) + 1) * blockBytes);
      continue;
    }
    if (wanted === 'data') throw new FuseError('ENXIO');
    return Math.min(position, size);
  }
}
