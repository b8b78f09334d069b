import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { unusable } from '@soulbox/contract/export-file';

// Linux: Documentation/filesystems/ext4. Only what SoulBox's images have (isolation/root/disk.sh): 4096-byte blocks,
// inodes of 256 bytes, extents, no journal. Everything read is hostile: each number is checked before it is used.

const blockBytes = 4096;
const inodeBytes = 256;
const rootInode = 2;
/** filetype, extents, 64bit, flex_bg, csum_seed, largedir. Others change the form of what is read. */
const knownFeatures = 0x0002 | 0x0040 | 0x0080 | 0x0200 | 0x2000 | 0x4000;
const maxExtentDepth = 5;
/** A file may have holes, but one that is larger than this beyond twice its image would only cost time. */
const maxHoleBytes = 2 ** 40;
const maxFolderBytes = 256 * 1024 * 1024;
const maxFolderEntries = 1_000_000;
const attributeMagic = 0xea020000;
/** Index of the prefix `trusted.`. */
const trusted = 4;

export type EntryKind = 'file' | 'folder' | 'link' | 'device' | 'other';

/** A file or folder of an image. */
export interface Inode {
  readonly number: number;
  readonly kind: EntryKind;
  /** Permission bits. */
  readonly mode: number;
  readonly sizeBytes: number;
  /** Overlayfs: this name hides whatever is below. */
  readonly isWhiteout: boolean;
  /** Overlayfs: this folder hides the folder below. */
  readonly isOpaque: boolean;
}

/** An ext4 image that is read by this program: no kernel ever sees it. Throws `export_unusable`. */
export interface Ext4Image extends AsyncDisposable {
  readonly root: Inode;
  /** The entries of a folder, without `.` and `..`. Names are bytes, as latin1 text. */
  list(folder: Inode): Promise<ReadonlyMap<string, Inode>>;
  /** The content of a file, or the target of a link. */
  read(file: Inode): AsyncGenerator<Buffer>;
}

interface RawInode {
  readonly bytes: Buffer;
  readonly inode: Inode;
}

/** After an abort of `stop`, every call throws its reason. */
export async function openExt4(path: string, stop: AbortSignal): Promise<Ext4Image> {
  const file = await open(path, 'r');
  try {
    return await readImage(file, stop);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readImage(file: FileHandle, stop: AbortSignal): Promise<Ext4Image> {
  const { size } = await file.stat();
  const blockCount = Math.floor(size / blockBytes);
  const readAt = async (offset: number, length: number): Promise<Buffer> => {
    stop.throwIfAborted();
    if (offset < 0 || offset + length > size) throw broken('points outside of its disk');
    const buffer = Buffer.alloc(length);
    await file.read(buffer, 0, length, offset);
    return buffer;
  };
  const readBlock = async (block: number): Promise<Buffer> => {
    if (block <= 0 || block >= blockCount) throw broken('points outside of its disk');
    return await readAt(block * blockBytes, blockBytes);
  };
  const geometry = parseSuperblock(await readAt(1024, 1024));

  const readInode = async (number: number): Promise<RawInode> => {
    if (number < 1 || number > geometry.inodes) throw broken('has an entry without an inode');
    const group = Math.floor((number - 1) / geometry.inodesPerGroup);
    const descriptor = await readAt(blockBytes + group * geometry.descriptorBytes, geometry.descriptorBytes);
    const high = geometry.descriptorBytes >= 64 ? descriptor.readUInt32LE(0x28) : 0;
    const table = descriptor.readUInt32LE(0x08) + high * 2 ** 32;
    const at = table * blockBytes + ((number - 1) % geometry.inodesPerGroup) * inodeBytes;
    const bytes = await readAt(at, inodeBytes);
    const external = bytes.readUInt32LE(0x68);
    const attributes = [
      ...ownAttributes(bytes),
      ...(external === 0 ? [] : attributesIn(await readBlock(external), 32)),
    ];
    return { bytes, inode: parseInode(number, bytes, attributes) };
  };

  /** Each node below the first has an entry, and each extent has a block, so a tree is not larger than its file. */
  const readExtents = async function* (node: Buffer, depth: number): AsyncGenerator<[number, number, number, boolean]> {
    if (node.readUInt16LE(0) !== 0xf30a || depth < 0) throw broken('has a file without extents');
    const entries = node.readUInt16LE(2);
    if (12 + entries * 12 > node.length) throw broken('has too many extents');
    if (entries === 0 && node.length === blockBytes) throw broken('has an empty node of extents');
    const isLeaf = node.readUInt16LE(6) === 0;
    for (let at = 12; at < 12 + entries * 12; at += 12) {
      if (!isLeaf) {
        const child = node.readUInt32LE(at + 4) + node.readUInt16LE(at + 8) * 2 ** 32;
        yield* readExtents(await readBlock(child), depth - 1);
        continue;
      }
      const length = node.readUInt16LE(at + 4);
      if (length === 0) throw broken('has an empty extent');
      const isUnwritten = length > 32_768;
      const start = node.readUInt32LE(at + 8) + node.readUInt16LE(at + 6) * 2 ** 32;
      yield [node.readUInt32LE(at), isUnwritten ? length - 32_768 : length, start, isUnwritten];
    }
  };

  /** The content in order, with zeros for holes. */
  const readContent = async function* ({ bytes, inode }: RawInode): AsyncGenerator<Buffer> {
    const { sizeBytes, kind } = inode;
    if (kind === 'link' && sizeBytes < 60) {
      yield bytes.subarray(0x28, 0x28 + sizeBytes);
      return;
    }
    if ((bytes.readUInt32LE(0x20) & 0x80000) === 0) throw broken('has a file without extents');
    if (sizeBytes > 2 * size + maxHoleBytes) throw broken('has a file that is too large to be read');
    let next = 0;
    const cut = (block: number, content: Buffer): Buffer =>
      content.subarray(0, Math.max(0, Math.min(content.length, sizeBytes - block * blockBytes)));
    const zeros = function* (until: number): Generator<Buffer> {
      for (; next < until && next * blockBytes < sizeBytes; next += 1) {
        stop.throwIfAborted();
        yield cut(next, Buffer.alloc(blockBytes));
      }
    };
    for await (const [first, length, start, isUnwritten] of readExtents(bytes.subarray(0x28, 0x64), maxExtentDepth)) {
      // Room may be allocated behind the end.
      if (next * blockBytes >= sizeBytes) break;
      if (first < next) throw broken('has extents out of order');
      yield* zeros(first);
      if (isUnwritten) yield* zeros(first + length);
      else
        for (; next < first + length && next * blockBytes < sizeBytes; next += 1)
          yield cut(next, await readBlock(start + next - first));
    }
    yield* zeros(Infinity);
  };

  return {
    root: (await readInode(rootInode)).inode,
    async list(folder) {
      const raw = await readInode(folder.number);
      if (raw.inode.kind !== 'folder' || raw.inode.sizeBytes > maxFolderBytes) throw broken('has a damaged folder');
      const found = new Map<string, Inode>();
      for await (const block of readContent(raw))
        for (const { name, number } of entriesOf(block)) {
          if (found.size >= maxFolderEntries) throw broken(`has a folder with more than ${maxFolderEntries} entries`);
          found.set(name, (await readInode(number)).inode);
        }
      return found;
    },
    async *read({ number }) {
      yield* readContent(await readInode(number));
    },
    async [Symbol.asyncDispose]() {
      await file.close();
    },
  };
}

const broken = (fault: string) => unusable(`a layer ${fault}`);

function parseSuperblock(bytes: Buffer) {
  if (bytes.readUInt16LE(0x38) !== 0xef53) throw broken('is not an ext4 image');
  const features = bytes.readUInt32LE(0x60);
  const isKnown = bytes.readUInt32LE(0x18) === 2 && bytes.readUInt16LE(0x58) === inodeBytes;
  if (!isKnown || (features & ~knownFeatures) !== 0)
    throw broken('is an ext4 image of a kind that SoulBox does not make');
  const inodesPerGroup = bytes.readUInt32LE(0x28);
  if (inodesPerGroup === 0) throw broken('has no inodes');
  const descriptorBytes = (features & 0x80) === 0 ? 32 : bytes.readUInt16LE(0xfe);
  if (descriptorBytes < 32 || descriptorBytes > 1024) throw broken('has damaged tables');
  return { inodes: bytes.readUInt32LE(0), inodesPerGroup, descriptorBytes };
}

interface Attribute {
  readonly index: number;
  readonly name: string;
}

function ownAttributes(bytes: Buffer): Attribute[] {
  const at = 128 + bytes.readUInt16LE(0x80);
  return at + 4 <= bytes.length && bytes.readUInt32LE(at) === attributeMagic ? attributesIn(bytes, at + 4) : [];
}

function attributesIn(bytes: Buffer, start: number): Attribute[] {
  const found: Attribute[] = [];
  // A terminator has an empty name and index.
  for (let at = start; at + 16 <= bytes.length && bytes.readUInt32LE(at) !== 0;) {
    const length = bytes.readUInt8(at);
    found.push({ index: bytes.readUInt8(at + 1), name: bytes.toString('latin1', at + 16, at + 16 + length) });
    at += (16 + length + 3) & ~3;
  }
  return found;
}

const kinds: Readonly<Record<number, EntryKind>> = {
  1: 'other',
  2: 'device',
  4: 'folder',
  6: 'device',
  8: 'file',
  10: 'link',
};

function parseInode(number: number, bytes: Buffer, attributes: readonly Attribute[]): Inode {
  const mode = bytes.readUInt16LE(0);
  const kind = kinds[mode >> 12] ?? 'other';
  const sizeBytes = bytes.readUInt32LE(0x04) + bytes.readUInt32LE(0x6c) * 2 ** 32;
  if (sizeBytes > Number.MAX_SAFE_INTEGER) throw broken('has a file of an impossible size');
  const isNull = bytes.readUInt32LE(0x28) === 0 && bytes.readUInt32LE(0x2c) === 0;
  return {
    ...{ number, kind, sizeBytes, mode: mode & 0o7777 },
    isWhiteout: mode >> 12 === 2 && isNull,
    isOpaque: attributes.some(({ index, name }) => index === trusted && name === 'overlay.opaque'),
  };
}

/** Nodes of a hashed folder look like empty entries. */
function* entriesOf(block: Buffer): Generator<{ readonly name: string; readonly number: number }> {
  for (let at = 0; at + 8 <= block.length;) {
    const number = block.readUInt32LE(at);
    const length = block.readUInt16LE(at + 4);
    if (length < 8 || at + length > block.length) throw broken('has a damaged folder');
    const nameLength = block.readUInt8(at + 6);
    const name = block.toString('latin1', at + 8, at + 8 + nameLength);
    if (number !== 0 && nameLength > 0 && 8 + nameLength <= length && name !== '.' && name !== '..') {
      if (name.includes('/') || name.includes('\0')) throw broken('has a name that no file can have');
      yield { name, number };
    }
    at += length;
  }
}
