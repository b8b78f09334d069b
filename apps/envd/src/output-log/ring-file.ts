import { constants } from 'node:fs';
import { mkdir, open, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isNodeError } from '@soulbox/base';

/**
 * A file that holds the last `sizeBytes` of an endless sequence: byte n is at n modulo the size. The caller never reads
 * what it has overwritten.
 *
 * No descriptor stays open. Code in the sandbox may delete the file, and CRIU cannot save a process that has a large
 * deleted file open, so the sandbox could not be paused.
 */
export interface RingFile {
  /** False before the first write, and after the file was found deleted. Then what was written is lost. */
  readonly exists: boolean;
  /** Rejects if the disk is full or the file was deleted. */
  write(at: number, parts: readonly Uint8Array[]): Promise<void>;
  /** Rejects if the file is gone or shorter. */
  read(at: number, length: number): Promise<Buffer>;
  /** Never rejects. */
  remove(): Promise<void>;
}

const openFlags = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export function createRingFile(path: string, sizeBytes: number): RingFile {
  let exists = false;

  async function openFile(): Promise<FileHandle> {
    if (exists) return await open(path, openFlags);
    // Only root may read the folder: it has the output of all users.
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await unlink(path).catch(() => undefined);
    const file = await open(path, openFlags | constants.O_CREAT | constants.O_EXCL, 0o600);
    exists = true;
    return file;
  }

  /** The one or two places in the file of `length` bytes at `at`. */
  function split(at: number, length: number): { from: number; length: number; place: number }[] {
    const place = at % sizeBytes;
    const first = Math.min(length, sizeBytes - place);
    const pieces = [{ from: 0, length: first, place }];
    if (first < length) pieces.push({ from: first, length: length - first, place: 0 });
    return pieces;
  }

  /** With one system call for all parts, or two around the end of the file. */
  async function writeParts(file: FileHandle, at: number, parts: readonly Uint8Array[]): Promise<void> {
    let run: Uint8Array[] = [];
    let runPlace = at % sizeBytes;
    let next = at;
    for (const part of parts) {
      for (const { from, length, place } of split(next, part.length)) {
        if (place === 0) {
          await writeAll(file, run, runPlace);
          [run, runPlace] = [[], 0];
        }
        run.push(part.subarray(from, from + length));
      }
      next += part.length;
    }
    await writeAll(file, run, runPlace);
  }

  async function remove(): Promise<void> {
    if (!exists) return;
    exists = false;
    await unlink(path).catch(() => undefined);
  }

  return {
    get exists() {
      return exists;
    },
    async write(at, parts) {
      try {
        const file = await openFile();
        try {
          await writeParts(file, at, parts);
        } finally {
          await file.close();
        }
      } catch (error) {
        if (isNodeError(error) && error.code === 'ENOENT') exists = false;
        throw error;
      }
    },
    async read(at, length) {
      const bytes = Buffer.allocUnsafe(length);
      const file = await open(path, openFlags);
      try {
        for (const piece of split(at, length)) {
          const { bytesRead } = await file.read(bytes, piece.from, piece.length, piece.place);
          if (bytesRead !== piece.length) throw new Error('The file of the log is shorter than what was written.');
        }
      } finally {
        await file.close();
      }
      return bytes;
    },
    remove,
  };
}

async function writeAll(file: FileHandle, parts: readonly Uint8Array[], place: number): Promise<void> {
  let rest = parts.filter((part) => part.length > 0);
  let next = place;
  while (rest.length > 0) {
    const { bytesWritten } = await file.writev(rest, next);
    if (bytesWritten === 0) throw new Error('The disk took no bytes.');
    next += bytesWritten;
    rest = dropFront(rest, bytesWritten);
  }
}

function dropFront(parts: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let left = bytes;
  const rest: Uint8Array[] = [];
  for (const part of parts) {
    if (left < part.length) rest.push(part.subarray(left));
    left = Math.max(0, left - part.length);
  }
  return rest;
}
