import { renameSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { silentLogger, SoulBoxError } from '@soulbox/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { collect } from './collect.ts';
import type { Shelves } from './collect.ts';
import type { Needed } from './checkpoint-store.ts';
import type { TestStore } from './testing/test-store.ts';
import { openTestStore, sealTestCheckpoint, testFacts } from './testing/test-store.ts';

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

test('keeps what is named, and the layers of checkpoints that are named; all else goes', async () => {
  for (const id of ['shared', 'of-s2', 'running', 'nobodys']) await makeLayer(id);
  await sealWith('s1', ['shared']);
  await sealWith('s2', ['of-s2', 'shared']);
  const { removedCheckpoints, removedLayers } = await shop.store.collect(needed(['s1'], ['running']));
  expect(removedCheckpoints).toEqual(['s2']);
  expect(removedLayers).toEqual(['nobodys', 'of-s2']);
  expect(await layerFiles()).toEqual(['running.img', 'running.json', 'shared.img', 'shared.json']);
  expect(await shop.store.collect(needed(['s1'], ['running']))).toEqual({ removedCheckpoints: [], removedLayers: [] });
});

test('what is made while the caller is asked is not up for removal', async () => {
  await makeLayer('old');
  const collection = await shop.store.collect(async () => {
    await makeLayer('new');
    await sealWith('s1', ['new', 'old']);
    return needed()();
  });
  expect(collection).toEqual({ removedCheckpoints: [], removedLayers: [] });
  await shop.store.open('s1');
});

test('what an open draft will name stays, and no other layer waits for its end', async () => {
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

test('no layer goes while a kept checkpoint cannot be read: it may be the only one to name it', async () => {
  await makeLayer('l1');
  await sealWith('s1', ['l1']);
  await rm(join(shop.directory, 'states', 's1', 'manifest.json'));
  expect(await shop.store.collect(needed(['s1']))).toEqual({ removedCheckpoints: [], removedLayers: [] });
  // Once nobody wants the checkpoint it goes, damaged or not, and its layers with it.
  expect(await shop.store.collect(needed())).toEqual({ removedCheckpoints: ['s1'], removedLayers: ['l1'] });
});

test('a checkpoint with damaged parts still keeps its layers', async () => {
  await makeLayer('l1');
  await sealWith('s1', ['l1']);
  await rm(join(shop.directory, 'states', 's1', 'pages-1.img'));
  expect(await shop.store.collect(needed(['s1']))).toEqual({ removedCheckpoints: [], removedLayers: [] });
});

test('nothing goes when the caller cannot say what it needs', async () => {
  await makeLayer('l1');
  await sealWith('s1', []);
  const collection = shop.store.collect(() => Promise.reject(new Error('records are locked')));
  await expect(collection).rejects.toThrow('records are locked');
  expect(await shop.store.list()).toEqual(['s1']);
  expect(await layerFiles()).toHaveLength(2);
});

test('what a crash left half removed or not yet sealed goes the next time', async () => {
  await makeLayer('half');
  await rm(shop.store.layerPath('half'));
  await writeFile(shop.store.layerPath('moved-but-not-sealed'), '');
  await writeFile(shop.store.layerPath('moved-and-named'), '');
  const { removedLayers } = await shop.store.collect(needed([], ['moved-and-named']));
  expect(removedLayers).toEqual(['half', 'moved-but-not-sealed']);
  expect(await layerFiles()).toEqual(['moved-and-named.img']);
});

test('names that are needed but not there do no harm', async () => {
  expect(await shop.store.collect(needed(['gone'], ['../../etc', 'gone']))).toEqual({
    removedCheckpoints: [],
    removedLayers: [],
  });
});

/** A store with the checkpoint `s1`, which is asked for its place, and the layer `l1`. */
function shelvesWith(checkpointPath: Shelves['checkpointPath'], warnings: object[] = []): Shelves {
  return {
    store: { list: () => Promise.resolve(['s1']), remove: () => Promise.reject(new Error('s1 is needed')) },
    layers: { list: () => Promise.resolve(['l1']), remove: () => Promise.reject(new Error('l1 may be needed')) },
    logger: { ...silentLogger, warn: (facts) => void warnings.push(facts) },
    layersOfDrafts: () => [],
    checkpointPath,
  };
}

test('who keeps every layer from going is logged: the disk fills until somebody looks at it', async () => {
  const warnings: object[] = [];
  await collect(
    shelvesWith(() => join(shop.directory, 'nowhere'), warnings),
    needed(['s1']),
  );
  expect(warnings).toEqual([{ checkpointId: 's1', err: expect.any(SoulBoxError) as unknown }]);
});

test('a fault of the program is not taken for a checkpoint that cannot be read', async () => {
  const fault = new TypeError('no such function');
  const shelves = shelvesWith(() => {
    throw fault;
  });
  await expect(collect(shelves, needed(['s1']))).rejects.toBe(fault);
});

test('a checkpoint that goes between list and read holds up nothing, and nobody is told that it is damaged', async () => {
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
      ...{ store, layers, layersOfDrafts: () => [] },
      logger: {
        ...silentLogger,
        warn: (...all: unknown[]) => void warnings.push(String(all.at(-1))),
      },
      checkpointPath(checkpointId) {
        // Both were listed; the first is removed by somebody else before it is read.
        if (reads++ === 0) renameSync(join(shop.directory, 'states', 'goes'), join(shop.directory, 'states-gone'));
        return join(shop.directory, 'states', checkpointId);
      },
    },
    needed(['goes', 'stays']),
  );
  expect([collection.removedLayers, warnings]).toEqual([['l1'], []]);
});
