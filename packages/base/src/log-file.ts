import { closeSync, fstatSync, mkdirSync, openSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isNodeError } from './error-from-node.ts';

export interface LogFileLimits {
  /** A file of so many bytes becomes `FILE.1`, and a new one begins. 0: never. */
  readonly maxBytes: number;
  /** How many such older files are kept; the oldest goes. At least 1. */
  readonly keptFiles: number;
}

/** The file behind a log, which may be another one from one write to the next. */
export interface LogFile {
  fd(): number;
  /** So many bytes more are in it. */
  wrote(bytes: number): void;
  /** Have it opened anew before the next write: somebody else has moved it away. */
  wantReopened(): void;
  /** Whether `turn` has to run before the next write. */
  isDue(): boolean;
  /** Moves it away when it is large enough, and opens it anew. Never throws: what cannot be done is told as false, and the old file goes on. */
  turn(): Promise<boolean>;
}

/** Opens it for lines at its end; throws what `open` throws. */
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
        // Tried again after as many bytes more, or when somebody asks for it.
        size = 0;
        return false;
      } finally {
        isMoved = false;
      }
    },
  };
}

/** FILE becomes FILE.1, that becomes FILE.2, and so on; what was FILE.`keptFiles` is replaced. */
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

/** What the process was started with, such as standard error: whoever reads it keeps it. */
export function borrowLogFile(fd: number): LogFile {
  return {
    fd: () => fd,
    wrote: () => undefined,
    wantReopened: () => undefined,
    isDue: () => false,
    turn: () => Promise.resolve(true),
  };
}
