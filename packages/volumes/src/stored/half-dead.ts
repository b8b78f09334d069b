import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { blockId, findPackPlace } from '../blocks/block-names.ts';
import type { BlockPlace } from '../metadata/metadata.ts';
import { metadataName } from '../volume/places.ts';
import { rowsOf } from './block-rows.ts';
import { packMaxBytes } from './packs.ts';

/** A block of a pack that volumes name. */
export interface LiveUnit {
  readonly id: string;
  readonly at: number;
  readonly length: number;
  readonly rows: readonly NamingRow[];
}

/** Where the metadata of a volume name it. Copies share blocks, so several can. */
export interface NamingRow extends BlockPlace {
  readonly volumeId: string;
  readonly name: string;
}

/** A pack of which less than half is needed, as far as is known. */
export interface HalfDeadPack {
  readonly pack: string;
  /** Of blocks and of pieces of metadata. */
  readonly liveBytes: number;
  readonly units: readonly LiveUnit[];
  readonly hasPieces: boolean;
}

export interface HalfDeadOptions {
  /** The folder of the group. */
  readonly data: string;
  /** Bytes of pieces that the newest generations name, by their packs. */
  readonly pieces: ReadonlyMap<string, number>;
  /** The sizes of packs that are known. Others are taken for full ones. */
  readonly totals: ReadonlyMap<string, number>;
  /** At most so many, those with the fewest live bytes first. */
  readonly max: number;
}

export const isHalfDead = (liveBytes: number, totalBytes: number): boolean => liveBytes * 2 < totalBytes;

/**
 * The packs of a group of which the volumes on the disk and the newest generations name less than half. Reads the names of
 * all blocks twice. Throws if the metadata of one volume cannot be read.
 */
export async function findHalfDead({ data, pieces, totals, max }: HalfDeadOptions): Promise<HalfDeadPack[]> {
  const isFew = (pack: string, live: number): boolean => isHalfDead(live, totals.get(pack) ?? packMaxBytes);
  const candidates = [...(await countLive(data, pieces))]
    .filter(([pack, live]) => isFew(pack, live))
    .sort(([, one], [, other]) => one - other)
    // The count of before is too low for blocks of different copies, so some are left out below.
    .slice(0, 2 * max);
  const found = new Map(candidates.map(([pack]) => [pack, new Map<number, { unit: LiveUnit; rows: NamingRow[] }>()]));
  for await (const { volumeId, ino, index, name } of rowsOfGroup(data)) {
    const place = findPackPlace(name);
    const units = place && found.get(place.pack);
    if (place === undefined || units === undefined) continue;
    const { at, length } = place;
    let known = units.get(at);
    if (known === undefined) {
      const rows: NamingRow[] = [];
      units.set(at, (known = { unit: { id: blockId(name), at, length, rows }, rows }));
    }
    known.rows.push({ volumeId, ino, index, name });
  }
  return [...found]
    .map(([pack, units]): HalfDeadPack => {
      const live = [...units.values()].map(({ unit }) => unit);
      const ofPieces = pieces.get(pack) ?? 0;
      const liveBytes = live.reduce((sum, { length }) => sum + length, ofPieces);
      return { pack, liveBytes, units: live, hasPieces: ofPieces > 0 };
    })
    .filter(({ pack, liveBytes }) => isFew(pack, liveBytes))
    .slice(0, max);
}

/** Bytes of each pack that one volume at least names: of several, the one that names most. */
async function countLive(data: string, pieces: ReadonlyMap<string, number>): Promise<Map<string, number>> {
  const live = new Map(pieces);
  let volume: { readonly id: string; readonly bytes: Map<string, number> } | undefined;
  const merge = (): void => {
    for (const [pack, bytes] of volume?.bytes ?? [])
      live.set(pack, Math.max(live.get(pack) ?? 0, bytes + (pieces.get(pack) ?? 0)));
  };
  for await (const { volumeId, name } of rowsOfGroup(data)) {
    if (volume?.id !== volumeId) {
      merge();
      volume = { id: volumeId, bytes: new Map() };
    }
    const place = findPackPlace(name);
    if (place !== undefined) volume.bytes.set(place.pack, (volume.bytes.get(place.pack) ?? 0) + place.length);
  }
  merge();
  return live;
}

async function* rowsOfGroup(data: string): AsyncGenerator<NamingRow> {
  for (const entry of await readdir(data, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    const volumeId = entry.name;
    for await (const row of rowsOf(join(data, volumeId, metadataName))) yield { volumeId, ...row };
  }
}
