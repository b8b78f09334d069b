import { randomFillSync } from 'node:crypto';
import { existsSync, readdirSync, statfsSync, unlinkSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorFromUnknown, isNodeError, SoulBoxError } from '@soulbox/base';

const mib = 1024 * 1024;
/**
 * A kill or a delete writes some 10 pages of records and a small file. A piece is room for a hundred of them, and all pieces are for
 * over a thousand, of which each that ends a sandbox gives more back than it took.
 */
const pieceBytes = 4 * mib;
const pieceCount = 16;
/** Below this, beside what the reserve lacks, nothing is begun that needs room: what is under way must find some. */
const floorBytes = 16 * mib;
/** The same for inodes, where the file system counts them. */
const floorInodes = 64;
/** Pieces that one step may use up: somebody else may take what was given back. */
const piecesPerStep = 3;

/**
 * Room that is set aside on the disk of a folder, as files of it: `<directory>/0` to `15`. Each is some blocks and an inode. They are
 * given back one at a time to what must not fail when nothing is left: ending, deleting, and recording what has happened.
 *
 * Nothing of it is in memory: every process of the server, and a command beside it, may give pieces back. Only one fills it up again.
 */
export interface DiskReserve {
  /** Bytes that are set aside now; 64 MiB when it is whole. */
  heldBytes(): number;
  /** What anybody may still use, once the reserve is whole again. */
  room(): { readonly bytes: number; readonly isShort: boolean };
  /** Throws `disk_full` when so little is left that nothing should be begun which needs room. */
  check(): void;
  /** Runs a step that must not fail for want of room: as long as it does, a piece is given back and it is run again. */
  spend<T>(step: () => T | Promise<T>): Promise<T>;
  /** The same where nothing may come between. */
  spendSync<T>(step: () => T): T;
  /** Gives pieces back until there is room for a start. */
  makeRoom(): void;
  /** Sets aside again what is missing, as far as there is room for all else too. Never throws. */
  restore(): Promise<void>;
}

/** The reserve in `directory`, which is made with it. */
export function openDiskReserve(directory: string): DiskReserve {
  let restoring: Promise<void> | undefined;
  const held = (): string[] => {
    try {
      return readdirSync(directory).filter((name) => /^\d+$/.test(name));
    } catch {
      // It was never made.
      return [];
    }
  };
  const free = (): { bytes: number; inodes: number } => {
    const { bavail, bsize, files, ffree } = statfsSync(nearest(directory));
    // btrfs makes inodes as needed and says 0 of 0.
    return { bytes: bavail * bsize, inodes: files === 0 ? Infinity : ffree };
  };
  const room = (): { bytes: number; isShort: boolean } => {
    const missing = pieceCount - held().length;
    const { bytes, inodes } = free();
    const left = Math.max(0, bytes - missing * pieceBytes);
    return { bytes: left, isShort: left < floorBytes || inodes - missing < floorInodes };
  };
  /** False when none is left. */
  const giveBack = (): boolean => {
    // Another process may take the same piece at the same moment: then it is the next one's turn.
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
      // So much more than a piece that what is under way finds some too.
      restoring ??= fill(directory, () => free().bytes >= 2 * pieceBytes).finally(() => (restoring = undefined));
      await restoring;
    },
  };
}

/** The folder, or the nearest one above it that is there. */
function nearest(directory: string): string {
  return existsSync(directory) ? directory : nearest(dirname(directory));
}

async function fill(directory: string, mayTake: () => boolean): Promise<void> {
  // Bytes that no file system can store in less than they are.
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
    // There is no room for it yet.
  }
}

/** A piece has its name only once it is whole. */
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
