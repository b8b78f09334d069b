import { link, mkdir, readdir, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { DatabaseSync } from 'node:sqlite';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import { FuseError } from '@soulbox/fuse';
import { findPackPlace } from '../blocks/block-names.ts';
import { blockPath } from '../blocks/disk.ts';
import { blockBytes } from '../limits.ts';
import type { Volume } from '../volume/open.ts';

const rowsAtOnce = 1000;
/** Calls to the file system at once: more would only wait for its threads. */
const callsAtOnce = 8;
/** A backup on the disk of the server leaves as much (apps/box/src/backup/create.ts). */
const reserveBytes = 512 * 2 ** 20;

interface Row {
  readonly ino: number;
  readonly index: number;
  readonly name: string;
  /** Bytes that a file of the block must have. */
  readonly length: number;
}

export interface StagedBlocks {
  readonly blocks: number;
  readonly bytes: number;
  /** Of them, those that came from the object store. */
  readonly fetchedBytes: number;
}

export interface StageBlocks {
  readonly volume: Volume;
  /** The copy of its metadata. */
  readonly db: DatabaseSync;
  /** Folders of blocks that can be linked. */
  readonly sources: readonly string[];
  /** A new folder of blocks. */
  readonly target: string;
  readonly signal: AbortSignal;
}

/**
 * Links all blocks that the metadata name into a folder; what only the object store has is fetched into it, if the disk has
 * room for all of it. Afterwards the metadata say nothing about the store. Throws `limit_exceeded`, `storage_unavailable`
 * and `volume_damaged`.
 */
export async function stageBlocks(options: StageBlocks): Promise<StagedBlocks> {
  const { volume, db, sources, target, signal } = options;
  const folders = new Set<string>();
  let [blocks, bytes, missingBytes, places] = [0, 0, 0, 0];
  for (const rows of piecesOf(db)) {
    signal.throwIfAborted();
    for (const { name } of rows) await makeFolder(blockPath(target, name), folders);
    await each(rows, async (row) => {
      blocks += 1;
      bytes += row.length;
      if (findPackPlace(row.name) !== undefined) places += 1;
      if (!(await linkAny(row, sources, target))) missingBytes += row.length;
    });
  }
  if (missingBytes > 0) {
    if (volume.blocks.freeBytes() < missingBytes + reserveBytes)
      throw new SoulBoxError(
        'limit_exceeded',
        `${Math.ceil(missingBytes / 2 ** 20)} MiB of the volume are in the object store only, and the disk of the server has no room to fetch them. The object store still has them (docs/storage.md).`,
      );
    for (const rows of piecesOf(db))
      // In their order, in which the store has them.
      for (const row of await listMissing(rows, target)) await fetchBlock(options, row);
  }
  if (places > 0) await forgetPlaces(db);
  return { blocks, bytes, fetchedBytes: missingBytes };
}

/** A restored volume must not depend on what another server deletes from the object store. */
async function forgetPlaces(db: DatabaseSync): Promise<void> {
  const forget = db.prepare(
    'UPDATE block SET object = substr(object, 1, 32) WHERE (ino, idx) >= (?, ?) AND (ino, idx) <= (?, ?) AND length(object) > 32',
  );
  for (const rows of piecesOf(db)) {
    const [first, last] = [rows[0], rows.at(-1)];
    if (first !== undefined && last !== undefined) forget.run(first.ino, first.index, last.ino, last.index);
    await nextTurn();
  }
}

/** Moves blocks into the folder of their group, which may have some of them. */
export async function moveBlocks(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o700 });
  for (const prefix of await readdir(from)) {
    try {
      await rename(join(from, prefix), join(to, prefix));
      continue;
    } catch (thrown) {
      if (!isNodeError(thrown) || !['ENOTEMPTY', 'EEXIST'].includes(thrown.code ?? '')) throw thrown;
    }
    await each(await readdir(join(from, prefix)), async (name) => {
      await rename(join(from, prefix, name), join(to, prefix, name));
    });
  }
}

function* piecesOf(db: DatabaseSync): Generator<readonly Row[]> {
  const select = db.prepare(
    'SELECT ino, idx, len, object FROM block WHERE object IS NOT NULL AND (ino, idx) > (?, ?) ORDER BY ino, idx LIMIT ?',
  );
  for (let last: Row | undefined; ;) {
    const rows = select.all(last?.ino ?? 0, last?.index ?? -1, rowsAtOnce).map((row): Row => {
      const name = String(row['object']);
      // What was stored is complete; of a block that was cut since, only a part counts.
      const length = findPackPlace(name)?.length ?? Number(row['len']);
      return { ino: Number(row['ino']), index: Number(row['idx']), name, length };
    });
    last = rows.at(-1);
    if (last === undefined) return;
    yield rows;
  }
}

async function makeFolder(path: string, made: Set<string>): Promise<void> {
  const folder = dirname(path);
  if (made.has(folder)) return;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  made.add(folder);
}

/** False if no folder has the block as a whole. */
async function linkAny({ name, length }: Row, sources: readonly string[], target: string): Promise<boolean> {
  const to = blockPath(target, name);
  for (const source of sources) {
    const from = blockPath(source, name);
    try {
      if ((await stat(from)).size < length) continue;
      await link(from, to);
      return true;
    } catch (thrown) {
      // The object store has it, and it was removed from the disk meanwhile.
      if (!isNodeError(thrown) || thrown.code !== 'ENOENT') throw thrown;
    }
  }
  return false;
}

async function listMissing(rows: readonly Row[], target: string): Promise<Row[]> {
  const present = new Set<string>();
  await each(rows, async ({ name }) => {
    if ((await stat(blockPath(target, name)).catch(() => undefined)) !== undefined) present.add(name);
  });
  return rows.filter(({ name }) => !present.has(name));
}

async function fetchBlock({ volume, target, signal }: StageBlocks, { name, length }: Row): Promise<void> {
  signal.throwIfAborted();
  const isStored = findPackPlace(name) !== undefined;
  if (length > blockBytes) throw damaged();
  const bytes = Buffer.allocUnsafe(length);
  try {
    await volume.blocks.read(name, bytes, 0);
  } catch (thrown) {
    if (!(thrown instanceof FuseError)) throw thrown;
    throw isStored
      ? new SoulBoxError('storage_unavailable', 'A block of the volume cannot be read from the object store.')
      : damaged();
  }
  await writeFile(blockPath(target, name), bytes, { mode: 0o600, flag: 'wx' });
}

const damaged = (): SoulBoxError =>
  new SoulBoxError('volume_damaged', 'A block of the volume is missing on the disk, or shorter than it should be.');

async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  const worker = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: callsAtOnce }, worker));
}
