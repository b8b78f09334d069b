import { randomFillSync } from 'node:crypto';
import { existsSync, readdirSync, statfsSync, unlinkSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorFromUnknown, isNodeError, SoulBoxError } from '@soulbox/base';

const mib = 1024 * 1024;
/**
 * A kill or a delete writes some 10 pages of records and a small file. A piece has space for a hundred of them, and all
 * pieces for over a thousand. Each operation that ends a sandbox frees more space than it took.
 */
const pieceBytes = 4 * mib;
const pieceCount = 16;
/**
 * With less free space than this, not counting the missing part of the reserve, nothing new begins that needs space:
 * operations in progress must find some.
 */
const floorBytes = 16 * mib;
/** The same for inodes, if the file system counts them. */
const floorInodes = 64;
/** The number of pieces that one step may use up: another program may take the released space. */
const piecesPerStep = 3;

/**
 * Space that is reserved on the disk of a folder, as files of it: `<directory>/0` to `15`. Each is some blocks and an
 * inode. If the disk is full, they are released one at a time for operations that must not fail: ending, deleting, and
 * recording what has happened.
 *
 * It has no state in memory: every process of the server, and a command beside it, may release pieces. Only one process
 * refills it.
 */
export interface DiskReserve {
  /** Bytes that are reserved now; 64 MiB if it is complete. */
  heldBytes(): number;
  /** The space that would be free if the reserve were complete. */
  room(): { readonly bytes: number; readonly isShort: boolean };
  /** Throws `disk_full` if so little space is left that nothing should begin which needs space. */
  check(): void;
  /**
   * Runs a step that must not fail for lack of space: as long as it does, a piece is released and the step runs again.
   */
  spend<T>(step: () => T | Promise<T>): Promise<T>;
  /** The same, synchronously, for steps that must not be interrupted. */
  spendSync<T>(step: () => T): T;
  /** Releases pieces until there is space for a start. */
  makeRoom(): void;
  /** Refills the missing pieces, if there is enough space for everything else too. Never throws. */
  restore(): Promise<void>;
}

/** The reserve in `directory`, which is created with it. */
export function openDiskReserve(directory: string): DiskReserve {
  let restoring: Promise<void> | undefined;
  const held = (): string[] => {
    try {
      return readdirSync(directory).filter((name) => /^\d+$/.test(name));
    } catch {
      // It was never created.
      return [];
    }
  };
  const free = (): { bytes: number; inodes: number } => {
    const { bavail, bsize, files, ffree } = statfsSync(nearest(directory));
    // btrfs creates inodes as needed and reports 0 of 0.
    return { bytes: bavail * bsize, inodes: files === 0 ? Infinity : ffree };
  };
  const room = (): { bytes: number; isShort: boolean } => {
    const missing = pieceCount - held().length;
    const { bytes, inodes } = free();
    const left = Math.max(0, bytes - missing * pieceBytes);
    return { bytes: left, isShort: left < floorBytes || inodes - missing < floorInodes };
  };
  /** False if none is left. */
  const giveBack = (): boolean => {
    // Another process may take the same piece at the same moment: then the next one is tried.
    for (const name of held().reverse()) {
      try {
        unlinkSync(join(directory, name));
        return true;
      } catch (thrown) {
        if (!isNodeError(thrown) || thrown.code !== 'ENOENT') throw thrown;
      }
    }
    return false;
  };
  const mayRetry = (thrown: unknown, tries: number): boolean =>
    errorFromUnknown(thrown).reason === 'disk_full' && tries < piecesPerStep && giveBack();

  return {
    heldBytes: () => held().length * pieceBytes,
    room,
    check() {
      if (!room().isShort) return;
      throw new SoulBoxError(
        'disk_full',
        'The disk of the server is full, and nothing was changed. Kills and deletes still work. Retry when there is free space.',
      );
    },
    async spend(step) {
      for (let tries = 0; ; tries += 1) {
        try {
          return await step();
        } catch (thrown) {
          if (!mayRetry(thrown, tries)) throw thrown;
        }
      }
    },
    spendSync(step) {
      for (let tries = 0; ; tries += 1) {
        try {
          return step();
        } catch (thrown) {
          if (!mayRetry(thrown, tries)) throw thrown;
        }
      }
    },
    makeRoom() {
      const isShort = (): boolean => free().bytes < pieceBytes || free().inodes < floorInodes;
      for (let given = 0; given < pieceCount && isShort() && giveBack(); given += 1);
    },
    async restore() {
      // More than a piece must be free, so that operations in progress find some space too.
      restoring ??= fill(directory, () => free().bytes >= 2 * pieceBytes).finally(() => (restoring = undefined));
      await restoring;
    },
  };
}

/** The folder, or the nearest existing one above it. */
function nearest(directory: string): string {
  return existsSync(directory) ? directory : nearest(dirname(directory));
}

async function fill(directory: string, mayTake: () => boolean): Promise<void> {
  // Bytes that no file system can compress.
  let block: Buffer | undefined;
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const present = await readdir(directory);
    for (let number = 0; number < pieceCount && mayTake(); number += 1) {
      if (present.includes(String(number))) continue;
      block ??= randomFillSync(Buffer.allocUnsafe(mib));
      await writePiece(join(directory, String(number)), block);
    }
  } catch {
    // There is no space for it yet.
  }
}

/** A piece gets its name only when it is complete. */
async function writePiece(path: string, block: Uint8Array): Promise<void> {
  const unfinished = `${path}.new`;
  await rm(unfinished, { force: true });
  const file = await open(unfinished, 'wx', 0o600);
  try {
    for (let written = 0; written < pieceBytes; written += block.length) await file.writeFile(block);
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}
