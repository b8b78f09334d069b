import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openObjectStore } from '@soulbox/storage/objects';
import { makeEmptyObjects, measure } from '@soulbox/storage/testing-objects';
import type { Taken } from '@soulbox/storage/testing-objects';
import { directAccess, sealedObjects, serversPrefix } from '@soulbox/vault';
import type { PackPlace } from '../blocks/block-names.ts';
import { collectPacks } from '../stored/collect.ts';
import { createGenerations, packBody } from '../stored/generations.ts';
import { closePack, createPacks, newRun, packOfRun, tableBytes } from '../stored/packs.ts';
import type { PackUnit, Packs } from '../stored/packs.ts';

const group = 'g';
const volumeId = 'v';

/**
 * Collects so many packs of one group in a `file:` store: a generation names half of them, a tenth is needed no more,
 * and the volume on this host names the rest. Throws if one is deleted that is needed, or kept that is due. The packs are
 * empty files, which are made directly: a collection reads only names.
 */
export async function collectManyPacks(folder: string, count: number): Promise<Record<'mark' | 'sweep', Taken>> {
  const { signal } = new AbortController();
  const key = randomBytes(32);
  const root = join(folder, 'collected');
  const serverId = 'a'.repeat(20);
  const run = newRun();
  const names = Array.from({ length: count }, (_, number) => packOfRun(run, number));
  const place = await makeEmptyObjects(root, `${serversPrefix}${serverId}/volumes/packs/${group}/`, names);
  await using store = await openObjectStore(`file://${root}`);
  const objects = sealedObjects(directAccess(store), serverId);
  const packs = createPacks(objects, key);
  const generations = createGenerations(objects, key);
  const inGeneration = names.filter((_, index) => index % 10 < 5);
  const named = new Set(names.filter((_, index) => index % 10 >= 5 && index % 10 < 9));
  const body = await writeBody(packs, await packBody({ pieces: [], packs: inGeneration }));
  await generations.put(
    {
      ...{ format: 1, number: 1, teamId: 't', groupId: group, volumeId, changes: 1, atMs: 0 },
      ...{ sizeBytes: 1, missingBlocks: 0, body },
    },
    signal,
  );
  const waiting = new Map<string, number>();
  const collect = async (nowMs: number): Promise<number> =>
    await collectPacks({
      ...{ group, packs, generations, named, waiting, nowMs, signal, graceMs: 1000 },
      kept: new Map([[volumeId, [1]]]),
      forget: () => undefined,
    });
  const expectDeleted = async (nowMs: number, expected: number): Promise<void> => {
    const deleted = await collect(nowMs);
    if (deleted !== expected) throw new Error(`${deleted} packs were deleted instead of ${expected}.`);
  };
  const mark = await measure(async () => await expectDeleted(0, 0));
  const due = names.length - inGeneration.length - named.size;
  const sweep = await measure(async () => await expectDeleted(1000, due));
  const left = new Set(await readdir(place));
  const lost = [...inGeneration, ...named, ...body.map(({ pack }) => pack)].filter((name) => !left.has(name));
  if (lost.length > 0) throw new Error(`${lost.length} packs that are needed were deleted.`);
  return { mark, sweep };
}

async function writeBody(packs: Packs, units: readonly Buffer[]): Promise<PackPlace[]> {
  const { signal } = new AbortController();
  const places: PackPlace[] = [];
  for (const bytes of units) {
    const [pack, unit] = [randomBytes(16).toString('hex'), { id: undefined, at: 0, length: bytes.length } as PackUnit];
    const buffer = Buffer.alloc(bytes.length + tableBytes(1));
    bytes.copy(buffer);
    await packs.put(group, pack, closePack(buffer, bytes.length, [unit]), signal);
    places.push({ pack, at: 0, length: bytes.length });
  }
  return places;
}
