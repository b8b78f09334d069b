import { closeSync, fstatSync, mkdirSync, openSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isNodeError } from './error-from-node.ts';

export interface LogFileLimits {
  /** The size at which the file becomes `FILE.1` and a new one begins. 0: never. */
  readonly maxBytes: number;
  /** How many older files are kept; the oldest one is replaced. At least 1. */
  readonly keptFiles: number;
}

/** The file behind a log. It can change between two writes. */
export interface LogFile {
  fd(): number;
  /** Records that this many more bytes were written. */
  wrote(bytes: number): void;
  /** Requests a reopen before the next write, because somebody else has moved the file away. */
  wantReopened(): void;
  /** Whether `turn` must run before the next write. */
  isDue(): boolean;
  /**
   * Rotates the file if it is large enough, and reopens it. Never throws: on failure it returns false and the old file
   * stays in use.
   */
  turn(): Promise<boolean>;
}

/** Opens the file for appending. Throws the errors of `open`. */
export function openLogFile(path: string, { maxBytes, keptFiles }: LogFileLimits): LogFile {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  let fd = openSync(path, 'a', 0o600);
  let size = fstatSync(fd).size;
  let isMoved = false;
  const isFull = (): boolean => maxBytes > 0 && size >= maxBytes;
  return {
    fd: () => fd,
    wrote(bytes) {
      size += bytes;
    },
    wantReopened() {
      isMoved = true;
    },
    isDue: () => isMoved || isFull(),
    async turn() {
      try {
        if (!isMoved && isFull()) await moveAway(path, keptFiles);
        const next = openSync(path, 'a', 0o600);
        closeSync(fd);
        fd = next;
        size = fstatSync(fd).size;
        return true;
      } catch {
        // The next try comes after as many bytes again, or when somebody requests it.
        size = 0;
        return false;
      } finally {
        isMoved = false;
      }
    },
  };
}

/** Renames FILE to FILE.1, FILE.1 to FILE.2, and so on. FILE.`keptFiles` is replaced. */
async function moveAway(path: string, keptFiles: number): Promise<void> {
  for (let number = keptFiles - 1; number >= 1; number -= 1)
    await renameIfThere(`${path}.${number}`, `${path}.${number + 1}`);
  await renameIfThere(path, `${path}.1`);
}

async function renameIfThere(from: string, to: string): Promise<void> {
  await rename(from, to).catch((error: unknown) => {
    if (!isNodeError(error) || error.code !== 'ENOENT') throw error;
  });
}

/**
 * A descriptor that the process was started with, such as standard error. Its reader is responsible for keeping the
 * log.
 */
export function borrowLogFile(fd: number): LogFile {
  return {
    fd: () => fd,
    wrote: () => undefined,
    wantReopened: () => undefined,
    isDue: () => false,
    turn: () => Promise.resolve(true),
  };
}
