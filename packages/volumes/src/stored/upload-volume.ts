import { createHmac } from 'node:crypto';
import { mkdir, open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { FuseError } from '@soulbox/fuse';
import { findPackPlace, nameInPack } from '../blocks/block-names.ts';
import type { PackPlace } from '../blocks/block-names.ts';
import type { BlockStore } from '../blocks/block-store.ts';
import { holdMoment, withoutMounts } from '../copies/copy-volume.ts';
import type { BlockPlace, RenamedBlock } from '../metadata/metadata.ts';
import { metadataPath } from '../volume/places.ts';
import type { Volume } from '../volume/open.ts';
import { namesOf } from './block-rows.ts';
import { compress, packBody, pieceBytes } from './generations.ts';
import type { Generation, GenerationBody, Generations } from './generations.ts';
import type { GroupBlocks } from './group-blocks.ts';
import { createPackWriter } from './pack-writer.ts';
import type { PackWriter, StoredUnit } from './pack-writer.ts';
import type { Packs } from './packs.ts';

/** With more than this, blocks are stored before the moment of the generation: until it is complete, nothing is deleted. */
const muchBytes = 64 * 1024 * 1024;
const rowsAtOnce = 1000;
/** Older generations are removed: their blocks can then be collected. */
export const generationsKept = 3;
const pagesAtOnce = 1000;

export interface UploadTools {
  readonly packs: Packs;
  readonly generations: Generations;
  /** Names pieces of metadata by their contents. */
  readonly digestKey: Uint8Array;
  /** Throws `storage_taken` if another server writes at this place. */
  readonly checkOwner: (signal: AbortSignal) => Promise<void>;
}

export interface UploadOptions extends UploadTools {
  readonly volume: Volume;
  readonly blocks: GroupBlocks;
  /** The folder of the group, and a folder for a copy of the metadata. */
  readonly data: string;
  readonly stage: string;
  readonly place: { readonly teamId: string; readonly groupId: string; readonly volumeId: string };
  /** What the store has of this volume. */
  readonly numbers: readonly number[];
  readonly last: GenerationBody | undefined;
  /** Packs whose pieces of metadata are sent again, so that the packs can be deleted. */
  readonly avoid?: ReadonlySet<string>;
  readonly signal: AbortSignal;
}

export interface UploadedGeneration {
  readonly generation: Generation;
  readonly body: GenerationBody;
  readonly sent: { readonly bytes: number; readonly packs: number };
}

interface UnstoredRow extends BlockPlace {
  readonly length: number;
  readonly name: string;
}

/**
 * Brings a volume to the object store as it is at one moment: first the blocks that are not there yet, then the pages of
 * its metadata that have changed, last the generation that names them all. What was stored before an error stays.
 */
export async function uploadVolume(options: UploadOptions): Promise<UploadedGeneration> {
  const { volume, blocks, data, stage, place } = options;
  const path = metadataPath(data, place.volumeId);
  await mkdir(stage, { recursive: true, mode: 0o700 });
  const copy = join(stage, `${place.volumeId}.sqlite`);
  const sent = { bytes: 0, packs: 0 };
  const used = async <T>(work: (writer: PackWriter<UnstoredRow>) => Promise<T>, onStored: OnStored): Promise<T> => {
    const writer = createPackWriter<UnstoredRow>({ ...options, group: place.groupId, onStored });
    try {
      return await work(writer);
    } finally {
      await writer.settle();
      sent.bytes += writer.sent.bytes;
      sent.packs += writer.sent.packs;
    }
  };
  await options.checkOwner(options.signal);
  if (countUnstored(path).bytes > muchBytes) {
    const frozen = await volume.atRest(() => volume.metadata.facts().generation, { isShared: false });
    await used(
      async (writer) => {
        using db = new DatabaseSync(path, { readOnly: true });
        await storeBlocks(options, db, { writer, before: frozen, isComplete: false });
        await writer.finish();
      },
      async (units) => await rename(options, units),
    );
  }
  await blocks.hold('all');
  try {
    const atMs = Date.now();
    const changes = await copyMoment(volume, path, copy);
    using db = new DatabaseSync(copy);
    db.exec(
      `PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE; PRAGMA synchronous = OFF; BEGIN; ${withoutMounts}`,
    );
    await blocks.hold(idsOfUnstored(db));
    const missingBlocks = await used(
      async (writer) => {
        const missing = await storeBlocks(options, db, { writer, before: Infinity, isComplete: true });
        await writer.finish();
        return missing;
      },
      async (units) => {
        const set = db.prepare('UPDATE block SET object = ? WHERE ino = ? AND idx = ?');
        for (const { about, place: at } of units) set.run(nameInPack(about.name, at), about.ino, about.index);
        await rename(options, units);
      },
    );
    db.exec('COMMIT');
    db.close();
    const packs = new Set<string>();
    for await (const name of namesOf(copy)) {
      const pack = findPackPlace(name)?.pack;
      if (pack !== undefined) packs.add(pack);
    }
    const { size: sizeBytes } = await stat(copy);
    return await used(async (writer) => {
      const pieces = await storePieces(options, copy, writer);
      const body = { pieces, packs: [...packs] };
      const units = await packBody(body);
      const places: PackPlace[] = [];
      for (const unit of units)
        places.push(await writer.add({ length: unit.length, fill: (target) => void unit.copy(target) }));
      await writer.finish();
      const number = Math.max(0, ...options.numbers) + 1;
      const generation: Generation = {
        ...{ format: 1, number, ...place, changes, atMs, sizeBytes, missingBlocks, body: places },
      };
      await options.checkOwner(options.signal);
      await options.generations.put(generation, options.signal);
      return { generation, body, sent };
    }, ignoreStored);
  } finally {
    await blocks.release();
    await rm(copy, { force: true });
    await rm(`${copy}-journal`, { force: true });
  }
}

type OnStored = (units: readonly StoredUnit<UnstoredRow>[]) => Promise<void>;

async function ignoreStored(): Promise<void> {
  await Promise.resolve();
}

/** Blocks of a volume that are on the disk only. */
export function countUnstored(path: string): { readonly blocks: number; readonly bytes: number } {
  using db = new DatabaseSync(path, { readOnly: true });
  const row = db
    .prepare('SELECT count(*) AS blocks, coalesce(sum(len), 0) AS bytes FROM block WHERE length(object) = 32')
    .get();
  return { blocks: Number(row?.['blocks']), bytes: Number(row?.['bytes']) };
}

/** Copies the metadata as they are at one moment. Returns the number of the last change that they have. */
async function copyMoment(volume: Volume, path: string, copy: string): Promise<number> {
  await rm(copy, { force: true });
  if (volume.blocks.freeBytes() < (await stat(path)).size)
    throw new FuseError('ENOSPC', 'The disk has no room for a copy of the metadata.');
  let changes = 0;
  using moment = await volume.atRest(
    () => {
      ({ changes } = volume.metadata.facts());
      return holdMoment(path);
    },
    { isShared: false },
  );
  // What the copy names is on the disk before the store has the copy.
  await volume.sync();
  await backup(moment.db, copy, { rate: pagesAtOnce });
  return changes;
}

const selectUnstored = `SELECT ino, idx, len, object FROM block
  WHERE length(object) = 32 AND gen < ? AND (ino, idx) > (?, ?) ORDER BY ino, idx LIMIT ?`;

function idsOfUnstored(db: DatabaseSync): Set<string> {
  const rows = db.prepare('SELECT object FROM block WHERE length(object) = 32').all();
  return new Set(rows.map((row) => String(row['object'])));
}

function* unstored(db: DatabaseSync, before: number): Generator<UnstoredRow> {
  const select = db.prepare(selectUnstored);
  for (let last: BlockPlace = { ino: 0, index: -1 }; ;) {
    const rows = select.all(Math.min(before, Number.MAX_SAFE_INTEGER), last.ino, last.index, rowsAtOnce).map((row) => ({
      ...{ ino: row['ino'] as number, index: row['idx'] as number },
      ...{ length: row['len'] as number, name: row['object'] as string },
    }));
    yield* rows;
    const end = rows.at(-1);
    if (end === undefined) return;
    last = end;
  }
}

/** Returns how many blocks could not be read. With `isComplete`, none of them may have been deleted meanwhile. */
async function storeBlocks(
  { blocks, volume }: UploadOptions,
  db: DatabaseSync,
  {
    writer,
    before,
    isComplete,
  }: { readonly writer: PackWriter<UnstoredRow>; readonly before: number; readonly isComplete: boolean },
): Promise<number> {
  const set = isComplete ? db.prepare('UPDATE block SET object = ? WHERE ino = ? AND idx = ?') : undefined;
  let missing = 0;
  for (const row of unstored(db, before)) {
    const { name, length } = row;
    const stored = blocks.findStored(name, length);
    if (stored !== undefined) {
      const to = nameInPack(name, stored);
      set?.run(to, row.ino, row.index);
      await volume.metadata.renameBlocks([{ place: row, from: name, to }]);
      continue;
    }
    try {
      await writer.add({
        ...{ id: name, length, about: row },
        fill: async (target) => await readUnread(volume.blocks, name, target),
      });
    } catch (error) {
      if (!(error instanceof FuseError)) throw error;
      missing += 1;
    }
  }
  return missing;
}

/** In the thread pool for what is large. */
async function readUnread(blocks: BlockStore, name: string, target: Buffer): Promise<void> {
  await blocks.read(name, target, 0);
}

async function rename({ volume, blocks }: UploadOptions, units: readonly StoredUnit<UnstoredRow>[]): Promise<void> {
  const renamed = units.map(({ about, place }): RenamedBlock => {
    blocks.noteStored(about.name, place);
    return { place: about, from: about.name, to: nameInPack(about.name, place) };
  });
  await volume.metadata.renameBlocks(renamed);
}

/** Stores the pieces of a file that the last generation does not have. */
async function storePieces(
  { last, avoid, digestKey, signal }: UploadOptions,
  path: string,
  writer: PackWriter<UnstoredRow>,
): Promise<GenerationBody['pieces']> {
  const kept = last?.pieces.filter(({ place }) => avoid?.has(place.pack) !== true) ?? [];
  const known = new Map(kept.map(({ digest, place }) => [digest, place]));
  const pieces: { digest: string; place: PackPlace }[] = [];
  await using file = await open(path, 'r');
  const buffer = Buffer.alloc(pieceBytes);
  for (let position = 0; ;) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, pieceBytes, position);
    if (bytesRead === 0) return pieces;
    position += bytesRead;
    const piece = buffer.subarray(0, bytesRead);
    const digest = createHmac('sha256', digestKey).update(piece).digest('hex').slice(0, 32);
    let place = known.get(digest);
    if (place === undefined) {
      const packed = await compress(piece);
      place = await writer.add({ length: packed.length, fill: (target) => void packed.copy(target) });
      known.set(digest, place);
    }
    pieces.push({ digest, place });
  }
}
