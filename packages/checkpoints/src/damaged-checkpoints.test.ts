/** @module-tag violation */
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { DamagedCheckpoints } from './damaged-checkpoints.ts';
import { openDamagedCheckpoints } from './damaged-checkpoints.ts';
import type { TestStore } from './testing/test-store.ts';
import { openTestStore, sealTestCheckpoint } from './testing/test-store.ts';

let shop: TestStore;
let damaged: DamagedCheckpoints;
beforeEach(async () => {
  shop = await openTestStore();
  damaged = openDamagedCheckpoints(shop.directory);
});
afterEach(() => shop[Symbol.asyncDispose]());

const note = (foundAtMs: number) => ({ sandboxId: 'i1', templateId: 'tbase', foundAtMs });
const idsOf = async (): Promise<string[]> => (await damaged.list()).map(({ checkpointId }) => checkpointId);

test('a checkpoint that is set aside leaves the store complete, and no collection removes it', async () => {
  const { directory, sizeBytes } = await sealTestCheckpoint(shop.store, 's1');
  const names = await readdir(directory);
  await shop.store.setAside('s1', note(5));
  expect(await shop.store.find('s1')).toBeUndefined();
  await shop.store.collect(() => ({ checkpoints: new Set(), layers: new Set() }));
  await shop.reopen();
  const [kept] = await damaged.list();
  expect(kept).toMatchObject({ checkpointId: 's1', ...note(5) });
  expect(kept?.sizeBytes).toBeGreaterThan(sizeBytes);
  expect(await readdir(kept?.directory ?? '')).toEqual(names);
});

test('setting aside a checkpoint twice, or a missing one, does nothing', async () => {
  await sealTestCheckpoint(shop.store, 's1');
  await shop.store.setAside('s1', note(5));
  await shop.store.setAside('s1', note(5));
  await shop.store.setAside('s2', note(6));
  expect(await idsOf()).toEqual(['s1']);
  expect((await readdir(join(shop.directory, 'damaged'))).toSorted()).toEqual(['s1', 's1.json']);
});

test('the oldest are removed by age and above a number', async () => {
  for (let number = 10; number < 30; number++) {
    await sealTestCheckpoint(shop.store, `s${number}`);
    await shop.store.setAside(`s${number}`, note(number));
  }
  const last16 = Array.from({ length: 16 }, (_, index) => `s${index + 14}`);
  expect(await idsOf()).toEqual(last16);
  expect(await shop.store.dropDamaged(16)).toEqual(['s14', 's15']);
  expect(await idsOf()).toEqual(last16.slice(2));
});

test('only damaged checkpoints of this folder can be removed', async () => {
  await sealTestCheckpoint(shop.store, 's1');
  await sealTestCheckpoint(shop.store, 's2');
  await shop.store.setAside('s1', note(5));
  for (const id of ['s2', '..', '../states/s2', 's1.json', '']) expect(await damaged.remove(id)).toBe(false);
  expect(await damaged.remove('s1')).toBe(true);
  expect(await shop.store.list()).toEqual(['s2']);
  expect(await readdir(join(shop.directory, 'damaged'))).toEqual([]);
});

test('a folder without a readable note is removed first', async () => {
  for (const name of ['a', 'b', 'c']) await mkdir(join(shop.directory, 'damaged', name), { recursive: true });
  await writeFile(join(shop.directory, 'damaged/b.json'), '{"sandboxId":1}');
  await writeFile(join(shop.directory, 'damaged/c.json'), '{"sand');
  expect(await idsOf()).toEqual(['a', 'b', 'c']);
  expect(await shop.store.dropDamaged(1)).toEqual(['a', 'b', 'c']);
  expect(await readdir(join(shop.directory, 'damaged'))).toEqual([]);
});
