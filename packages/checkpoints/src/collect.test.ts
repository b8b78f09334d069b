import { renameSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { collect } from './collect.ts';
import type { Shelves } from './collect.ts';
import type { Needed } from './checkpoint-store.ts';
import type { TestStore } from './testing/test-store.ts';
import { openTestStore, sealTestCheckpoint, testFacts, testKeys } from './testing/test-store.ts';

let shop: TestStore;
beforeEach(async () => {
  shop = await openTestStore();
});
afterEach(() => shop[Symbol.asyncDispose]());

async function makeLayer(layerId: string): Promise<void> {
  await writeFile(shop.store.layerPath(layerId), layerId);
  await shop.store.sealLayer(layerId);
}

const sealWith = (checkpointId: string, layers: string[]) =>
  sealTestCheckpoint(shop.store, checkpointId, testFacts({ layers }));

const needed =
  (checkpoints: string[] = [], layers: string[] = []): (() => Needed) =>
  () => ({ checkpoints: new Set(checkpoints), layers: new Set(layers) });

const layerFiles = (): Promise<string[]> => readdir(join(shop.directory, 'layers'));

test('named checkpoints with their layers and named layers are kept, all others are removed', async () => {
  for (const id of ['shared', 'of-s2', 'running', 'nobodys']) await makeLayer(id);
  await sealWith('s1', ['shared']);
  await sealWith('s2', ['of-s2', 'shared']);
  const { removedCheckpoints, removedLayers } = await shop.store.collect(needed(['s1'], ['running']));
  expect(removedCheckpoints).toEqual(['s2']);
  expect(removedLayers).toEqual(['nobodys', 'of-s2']);
  expect(await layerFiles()).toEqual(['running.img', 'running.json', 'shared.img', 'shared.json']);
  expect(await shop.store.collect(needed(['s1'], ['running']))).toEqual({ removedCheckpoints: [], removedLayers: [] });
});

test('checkpoints and layers that are made while the caller is asked are not removed', async () => {
  await makeLayer('old');
  const collection = await shop.store.collect(async () => {
    await makeLayer('new');
    await sealWith('s1', ['new', 'old']);
    return needed()();
  });
  expect(collection).toEqual({ removedCheckpoints: [], removedLayers: [] });
  await shop.store.open('s1');
});

test('layers that an open draft may name are kept, other layers are removed meanwhile', async () => {
  await makeLayer('l1');
  await makeLayer('l2');
  {
    await using draft = await shop.store.begin('s1', ['l1']);
    expect((await shop.store.collect(needed())).removedLayers).toEqual(['l2']);
    await expect(draft.seal(testFacts({ layers: ['l1', 'l2'] }))).rejects.toMatchObject({ reason: 'internal' });
    await draft.seal(testFacts({ layers: ['l1'] }));
  }
  expect((await shop.store.collect(needed(['s1']))).removedLayers).toEqual([]);
  expect((await shop.store.collect(needed())).removedLayers).toEqual(['l1']);
});

test('no layer is removed while a kept checkpoint is unreadable, because it may be the only one that names the layer', async () => {
  await makeLayer('l1');
  await sealWith('s1', ['l1']);
  await rm(join(shop.directory, 'states', 's1', 'manifest.json'));
  expect(await shop.store.collect(needed(['s1']))).toEqual({ removedCheckpoints: [], removedLayers: [] });
  // When nothing needs the checkpoint, it is removed with its layers, damaged or not.
  expect(await shop.store.collect(needed())).toEqual({ removedCheckpoints: ['s1'], removedLayers: ['l1'] });
});

test('a checkpoint with damaged parts still keeps its layers', async () => {
  await makeLayer('l1');
  await sealWith('s1', ['l1']);
  await rm(join(shop.directory, 'states', 's1', 'pages-1.img'));
  expect(await shop.store.collect(needed(['s1']))).toEqual({ removedCheckpoints: [], removedLayers: [] });
});

test('nothing is removed when the caller fails to name what it needs', async () => {
  await makeLayer('l1');
  await sealWith('s1', []);
  const collection = shop.store.collect(() => Promise.reject(new Error('records are locked')));
  await expect(collection).rejects.toThrow('records are locked');
  expect(await shop.store.list()).toEqual(['s1']);
  expect(await layerFiles()).toHaveLength(2);
});

test('half-removed or unsealed files that a crash left are removed the next time', async () => {
  await makeLayer('half');
  await rm(shop.store.layerPath('half'));
  await writeFile(shop.store.layerPath('moved-but-not-sealed'), '');
  await writeFile(shop.store.layerPath('moved-and-named'), '');
  const { removedLayers } = await shop.store.collect(needed([], ['moved-and-named']));
  expect(removedLayers).toEqual(['half', 'moved-but-not-sealed']);
  expect(await layerFiles()).toEqual(['moved-and-named.img']);
});

test('needed names that do not exist do no harm', async () => {
  expect(await shop.store.collect(needed(['gone'], ['../../etc', 'gone']))).toEqual({
    removedCheckpoints: [],
    removedLayers: [],
  });
});

/** A store with the checkpoint `s1` at `checkpointPath`, and the layer `l1`. */
function shelvesWith(checkpointPath: Shelves['checkpointPath'], warnings: object[] = []): Shelves {
  return {
    store: { list: () => Promise.resolve(['s1']), remove: () => Promise.reject(new Error('s1 is needed')) },
    layers: { list: () => Promise.resolve(['l1']), remove: () => Promise.reject(new Error('l1 may be needed')) },
    logger: { ...silentLogger, warn: (facts) => void warnings.push(facts) },
    layersOfDrafts: () => [],
    keys: testKeys(),
    checkpointPath,
  };
}

test('a checkpoint that prevents the removal of layers is logged, because the disk fills until it is repaired', async () => {
  const warnings: object[] = [];
  await collect(
    shelvesWith(() => join(shop.directory, 'nowhere'), warnings),
    needed(['s1']),
  );
  expect(warnings).toEqual([{ checkpointId: 's1', err: expect.any(SoulBoxError) as unknown }]);
});

test('a fault of the program is not treated as an unreadable checkpoint', async () => {
  const fault = new TypeError('no such function');
  const shelves = shelvesWith(() => {
    throw fault;
  });
  await expect(collect(shelves, needed(['s1']))).rejects.toBe(fault);
});

test('a checkpoint that is removed between list and read does not block the collection, and is not logged as damaged', async () => {
  for (const id of ['l1', 'l2']) await makeLayer(id);
  await sealWith('goes', ['l1']);
  await sealWith('stays', ['l2']);
  const warnings: string[] = [];
  let reads = 0;
  const store = {
    list: async () => await shop.store.list(),
    remove: async (checkpointId: string) => await shop.store.remove(checkpointId),
  };
  const layers = {
    list: async () => (await layerFiles()).filter((name) => name.endsWith('.img')).map((name) => name.slice(0, -4)),
    remove: () => Promise.resolve(),
  };
  const collection = await collect(
    {
      ...{ store, layers, layersOfDrafts: () => [], keys: testKeys() },
      logger: {
        ...silentLogger,
        warn: (...all: unknown[]) => void warnings.push(String(all.at(-1))),
      },
      checkpointPath(checkpointId) {
        // Both were listed. The first is removed before it is read.
        if (reads++ === 0) renameSync(join(shop.directory, 'states', 'goes'), join(shop.directory, 'states-gone'));
        return join(shop.directory, 'states', checkpointId);
      },
    },
    needed(['goes', 'stays']),
  );
  expect([collection.removedLayers, warnings]).toEqual([['l1'], []]);
});
