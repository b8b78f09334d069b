import { statfsSync } from 'node:fs';
import { mkdir, open, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { randomId } from '@soulbox/base';
import { FuseError } from '@soulbox/fuse';
import { changedFileBytesMax, freeBytesKept, pieceBytes } from '../limits.ts';

/** Bytes that scratch files may have together. Several mounts can share one. */
export interface ScratchSpace {
  /** Throws ENOSPC. */
  take(bytes: number): void;
  /** For what is there already. */
  adopt(bytes: number): void;
  give(bytes: number): void;
}

export function createScratchSpace(maxBytes: number): ScratchSpace {
  let used = 0;
  return {
    take(bytes) {
      if (used + bytes > maxBytes) throw new FuseError('ENOSPC', `Scratch files of buckets have ${used} bytes.`);
      used += bytes;
    },
    adopt(bytes) {
      used += bytes;
    },
    give(bytes) {
      used -= bytes;
    },
  };
}

/** The content of a file that is being changed, on the local disk. */
export interface Scratch {
  readonly name: string;
  size(): number;
  read(offset: number, size: number): Promise<Uint8Array>;
  /** Throws ENOSPC and EFBIG. */
  write(offset: number, data: Uint8Array): Promise<void>;
  truncate(size: number): Promise<void>;
  stream(): AsyncIterable<Uint8Array>;
  /** Also deletes it. */
  remove(): Promise<void>;
  /** Leaves it to the next process. */
  close(): Promise<void>;
}

/** With a name, the file of a process before this one. */
export async function openScratch(folder: string, space: ScratchSpace, name?: string): Promise<Scratch> {
  if (name === undefined) await mkdir(folder, { recursive: true, mode: 0o700 });
  const own = name ?? `scratch-${randomId(16)}`;
  const path = join(folder, own);
  const file = await open(path, name === undefined ? 'wx+' : 'r+', 0o600);
  let size = 0;
  let ended = false;
  const resize = (next: number): void => {
    if (next > changedFileBytesMax) throw new FuseError('EFBIG');
    if (next > size) {
      checkDisk(folder, next - size);
      space.take(next - size);
    } else space.give(size - next);
    size = next;
  };
  const end = async (): Promise<void> => {
    if (ended) return;
    ended = true;
    space.give(size);
    await file.close();
  };
  if (name !== undefined) {
    size = (await file.stat()).size;
    space.adopt(size);
  }
  return {
    name: own,
    size: () => size,
    read: (offset, length) => readPiece(file, offset, Math.max(0, Math.min(length, size - offset))),
    async write(offset, data) {
      const before = size;
      if (offset + data.length > size) resize(offset + data.length);
      try {
        for (let done = 0; done < data.length;)
          done += (await file.write(data, done, data.length - done, offset + done)).bytesWritten;
      } catch (error) {
        resize(Math.min(size, Math.max(before, (await file.stat()).size)));
        throw error;
      }
    },
    async truncate(next) {
      const before = size;
      resize(next);
      try {
        await file.truncate(next);
      } catch (error) {
        resize(before);
        throw error;
      }
    },
    async *stream() {
      for (let offset = 0; offset < size;) {
        const piece = await readPiece(file, offset, Math.min(pieceBytes, size - offset));
        if (piece.length === 0) throw new FuseError('EIO', 'A scratch file is shorter than it was.');
        offset += piece.length;
        yield piece;
      }
    },
    async remove() {
      await end();
      await rm(path, { force: true });
    },
    close: end,
  };
}

async function readPiece(file: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafe(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(buffer, done, length - done, offset + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return buffer.subarray(0, done);
}

function checkDisk(folder: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize - bytes < freeBytesKept) throw new FuseError('ENOSPC', 'The disk of the server is full.');
}
