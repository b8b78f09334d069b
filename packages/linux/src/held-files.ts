import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

/** Reads a pseudo file as text. */
export type ReadText = (path: string) => string;

/** Opens the file each time. As UTF-8: Node does that without a buffer of 64 KiB per call. */
export const readOnce: ReadText = (path) => readFileSync(path, 'utf8');

/** Pseudo files that are read again and again, and stay open meanwhile: most of the cost of a read is the opening. */
export interface HeldFiles {
  /** Reads for an owner. A file that was replaced since the last read is opened again. */
  readFor(owner: string): ReadText;
  /** Closes the files of an owner. */
  release(owner: string): void;
}

/** All owners together. Further files are opened for each read. */
const heldMax = 16_384;
/** More than memory.stat has. A longer file is opened for each read. */
const textMaxBytes = 16 * 1024;

export function createHeldFiles(): HeldFiles {
  const owners = new Map<string, Map<string, number>>();
  const buffer = Buffer.alloc(textMaxBytes);
  let held = 0;

  function open(owner: string, path: string): number {
    const fd = openSync(path, 'r');
    const files = owners.get(owner) ?? new Map<string, number>();
    owners.set(owner, files.set(path, fd));
    held += 1;
    return fd;
  }

  function close(files: Map<string, number> | undefined, path: string, fd: number): void {
    files?.delete(path);
    held -= 1;
    closeSync(fd);
  }

  /** Undefined if the file is gone, or another one has its place. */
  function readHeld(fd: number): string | undefined {
    try {
      const length = readSync(fd, buffer, 0, textMaxBytes, 0);
      return length < textMaxBytes ? buffer.toString('latin1', 0, length) : undefined;
    } catch {
      return undefined;
    }
  }

  return {
    readFor: (owner) => (path) => {
      const files = owners.get(owner);
      const fd = files?.get(path);
      const text = fd === undefined ? undefined : readHeld(fd);
      if (text !== undefined) return text;
      if (fd !== undefined) close(files, path, fd);
      if (held >= heldMax) return readOnce(path);
      return readHeld(open(owner, path)) ?? readOnce(path);
    },
    release(owner) {
      const files = owners.get(owner);
      for (const [path, fd] of files ?? []) close(files, path, fd);
      owners.delete(owner);
    },
  };
}
