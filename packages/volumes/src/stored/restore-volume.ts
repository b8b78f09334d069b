import { mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { SoulBoxError } from '@soulbox/base';
import { blockPath } from '../blocks/disk.ts';
import { blocksPath, metadataPath } from '../volume/places.ts';
import { decompress, pieceBytes, readBody, readUnit } from './generations.ts';
import type { Generation } from './generations.ts';
import type { Packs } from './packs.ts';

export interface RestoreOptions {
  readonly packs: Packs;
  readonly generation: Generation;
  /** The folder of the group. */
  readonly data: string;
  readonly signal: AbortSignal;
}

/**
 * Writes the metadata of a volume as a generation has them. Its blocks come from the store when they are read. Returns the
 * packs that they are in. Throws `storage_damaged`, and leaves nothing then.
 */
export async function restoreVolume({ packs, generation, data, signal }: RestoreOptions): Promise<readonly string[]> {
  const { groupId, volumeId, sizeBytes } = generation;
  const path = metadataPath(data, volumeId);
  const draft = `${path}.new`;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  try {
    const body = await readBody(packs, generation, signal);
    const damaged = new SoulBoxError('storage_damaged', `The metadata of the volume ${volumeId} have another length.`);
    if (body.pieces.length !== Math.ceil(sizeBytes / pieceBytes)) throw damaged;
    await rm(draft, { force: true });
    await using file = await open(draft, 'wx', 0o600);
    let written = 0;
    for (const { place } of body.pieces) {
      const piece = await decompress(await readUnit(packs, groupId, place, signal), pieceBytes);
      await file.write(piece, 0, piece.length, written);
      written += piece.length;
    }
    if (written !== sizeBytes) throw damaged;
    await file.sync();
    checkId(draft, volumeId);
    await rename(draft, path);
    return body.packs;
  } catch (error) {
    await rm(dirname(path), { recursive: true, force: true });
    throw error;
  }
}

function checkId(path: string, volumeId: string): void {
  using db = new DatabaseSync(path, { readOnly: true });
  const id = db.prepare('SELECT id FROM volume').get()?.['id'];
  if (id !== volumeId)
    throw new SoulBoxError('storage_damaged', `The metadata of the volume ${volumeId} are those of another one.`);
}

export interface FetchOptions {
  readonly packs: Packs;
  readonly group: string;
  /** The folder of the group. */
  readonly data: string;
  readonly named: readonly string[];
  readonly signal: AbortSignal;
}

/** Packs that are fetched at once. */
const fetchesAtOnce = 3;

/** Writes all blocks of packs to the disk. Throws `storage_damaged`. */
export async function fetchBlocks({ packs, group, data, named, signal }: FetchOptions): Promise<void> {
  const folder = blocksPath(data);
  let next = 0;
  const fetchNext = async (): Promise<void> => {
    for (let pack = named[next++]; pack !== undefined; pack = named[next++]) {
      const { bytes, units } = await packs.get(group, pack, signal);
      for (const { id, at, length } of units) {
        if (id === undefined) continue;
        const path = blockPath(folder, id);
        await mkdir(dirname(path), { recursive: true, mode: 0o700 });
        await writeFile(path, bytes.subarray(at, at + length), { mode: 0o600 });
      }
    }
  };
  await Promise.all(Array.from({ length: fetchesAtOnce }, fetchNext));
}
