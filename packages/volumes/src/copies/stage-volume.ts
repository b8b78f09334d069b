import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { SoulBoxError } from '@soulbox/base';
import { blocksPath, metadataPath } from '../volume/places.ts';
import { isNoRoom } from '../metadata/sqlite/errors.ts';
import { withoutMounts } from './copy-volume.ts';
import type { HeldVolume } from './hold-volume.ts';
import { moveBlocks, stageBlocks } from './stage-blocks.ts';
import type { StagedBlocks } from './stage-blocks.ts';

/** Pages that are copied in one step, in the thread pool. */
const pagesAtOnce = 1000;

export interface StageOptions {
  /** A folder for what is not complete. It is removed at the end. */
  readonly draft: string;
  /** The folder of the group in the stage. It may have other volumes, and an earlier moment of this one. */
  readonly target: string;
  readonly signal: AbortSignal;
}

/**
 * Writes a held volume into the stage of a backup: a copy of its metadata, and links to its blocks, which nothing changes
 * any more. Locks and files without names are left out. After a failure, the stage has nothing of this moment. Throws
 * `disk_full`, the errors of `stageBlocks`, and the reason of `signal`.
 */
export async function stageVolume(held: HeldVolume, options: StageOptions): Promise<StagedBlocks> {
  const { draft } = options;
  await rm(draft, { recursive: true, force: true });
  try {
    return await stage(held, options);
  } catch (thrown) {
    throw isNoRoom(thrown)
      ? new SoulBoxError('disk_full', 'The disk of the server has no room to save a volume.', { cause: thrown })
      : thrown;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function stage({ volume, data, db }: HeldVolume, { draft, target, signal }: StageOptions): Promise<StagedBlocks> {
  const { id } = volume.metadata.facts();
  const copy = metadataPath(draft, id);
  await mkdir(dirname(copy), { recursive: true, mode: 0o700 });
  await mkdir(blocksPath(draft), { mode: 0o700 });
  if (volume.blocks.freeBytes() < (await stat(metadataPath(data, id))).size)
    throw new SoulBoxError('disk_full', 'The disk of the server has no room for the list of the files in a volume.');
  await backup(db, copy, { rate: pagesAtOnce });
  const staged = await finish(copy, async (own) => {
    const sources = [blocksPath(data), blocksPath(target)];
    return await stageBlocks({ volume, db: own, sources, target: blocksPath(draft), signal });
  });
  signal.throwIfAborted();
  await moveBlocks(blocksPath(draft), blocksPath(target));
  await mkdir(dirname(metadataPath(target, id)), { recursive: true, mode: 0o700 });
  await rename(copy, metadataPath(target, id));
  return staged;
}

/** Nothing is flushed: a stage does not survive a crash of the host. */
async function finish<T>(copy: string, work: (db: DatabaseSync) => Promise<T>): Promise<T> {
  const db = new DatabaseSync(copy);
  try {
    // For one user, SQLite keeps the index of its log in memory.
    db.exec(
      `PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE; PRAGMA synchronous = OFF; BEGIN; ${withoutMounts}`,
    );
    const result = await work(db);
    db.exec('COMMIT');
    return result;
  } finally {
    db.close();
  }
}
