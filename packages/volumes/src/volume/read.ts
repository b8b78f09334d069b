import { FuseError } from '@soulbox/fuse';
import type { Awaitable } from '@soulbox/fuse';
import { blockBytes } from '../limits.ts';
import { hasBlocks, isFile, isFolder } from '../metadata/inode.ts';
import type { Inode } from '../metadata/inode.ts';
import type { Block } from '../metadata/metadata.ts';
import type { WriteTools } from './write.ts';

/**
 * Reads up to `size` bytes, fewer at the end of the file only. Without a turn of the event loop if all is at hand. The
 * result must not be changed.
 */
export function readFile(
  { metadata, blocks }: WriteTools,
  ino: number,
  offset: number,
  size: number,
): Awaitable<Buffer> {
  const readOf = (inode: Inode | undefined): Awaitable<Buffer> => {
    if (inode === undefined) throw new FuseError('ESTALE');
    if (isFolder(inode)) throw new FuseError('EISDIR');
    if (!isFile(inode)) throw new FuseError('EINVAL');
    const length = Math.min(size, inode.size - offset);
    if (length <= 0) return Buffer.alloc(0);
    metadata.touch(inode);
    const [first, last] = [Math.floor(offset / blockBytes), Math.floor((offset + length - 1) / blockBytes)];
    const present = hasBlocks(inode) ? metadata.blocks(ino, first, last) : [];
    return after(present, (found) => fill(found, offset, length));
  };
  const fill = (found: readonly Block[], from: number, length: number): Awaitable<Buffer> => {
    const [only] = found;
    if (found.length === 1 && only !== undefined && typeof only.content === 'string') {
      const inBlock = from - only.index * blockBytes;
      const isCovered = inBlock >= 0 && inBlock + length <= only.length;
      const bytes = isCovered ? blocks.peek?.(only.content, inBlock, length) : undefined;
      if (bytes !== undefined) return bytes;
    }
    const target = Buffer.allocUnsafe(length);
    const waits: Promise<void>[] = [];
    let filled = 0;
    for (const block of found) {
      const start = block.index * blockBytes;
      const begin = Math.max(0, start - from);
      const end = Math.min(length, start + block.length - from);
      if (end <= begin) continue;
      target.fill(0, filled, begin);
      filled = end;
      const inBlock = from + begin - start;
      if (typeof block.content !== 'string') {
        target.set(block.content.subarray(inBlock, inBlock + end - begin), begin);
        continue;
      }
      const reading = blocks.read(block.content, target.subarray(begin, end), inBlock);
      if (reading instanceof Promise) waits.push(reading);
    }
    target.fill(0, filled);
    return waits.length === 0 ? target : Promise.all(waits).then(() => target);
  };
  return after(metadata.find(ino), readOf);
}

/** Continues with a value or, later, with that of a promise. */
export function after<T, R>(value: Awaitable<T>, next: (value: T) => Awaitable<R>): Awaitable<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}
