import { mkdtemp, readdir, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import type { Template } from '@soulbox/templates';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openTestSeal } from '../../testing/test-keys.ts';
import { openLayerCache } from './layer-cache.ts';
import type { LayerCache } from './layer-cache.ts';
import { sweepCache } from '../../upkeep/sweep-cache.ts';

let directory: string;
let nowMs: number;
const clock = { now: () => nowMs };
const keyOf = (letter: string): string => letter.repeat(64);
const context = { user: 'user', workdir: '', variables: { A: 'secret' } };
const mib = 2 ** 20;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'layer-cache-'));
  nowMs = Date.parse('2026-01-01T00:00:00Z');
});
afterEach(async () => {
  await removeTree(directory);
});

const open = async (): Promise<LayerCache> =>
  await openLayerCache(join(directory, 'cache'), clock, silentLogger, openTestSeal());

test('entries survive a restart of the server, with the time of their last use, and only its user can read them', async () => {
  const first = await open();
  await first.write(keyOf('a'), { kind: 'step', layers: ['l1', 'l2'], context });
  await first.write(keyOf('b'), { kind: 'image', templateId: 't1' });
  nowMs += 60_000;
  await first.touch([keyOf('a'), keyOf('f')]);
  const second = await open();
  expect(second.find(keyOf('a'), 'step')).toEqual({ kind: 'step', layers: ['l1', 'l2'], context });
  expect(second.find(keyOf('a'), 'image')).toBeUndefined();
  expect(second.holding()).toEqual({ checkpoints: [], layers: ['l1', 'l2'] });
  expect(second.list().find(({ key }) => key === keyOf('a'))?.usedAtMs).toBe(nowMs);
  expect((await stat(join(directory, 'cache', `${keyOf('a')}.json`))).mode & 0o777).toBe(0o600);
});

test('unreadable and half-written entries are removed', async () => {
  const first = await open();
  await first.write(keyOf('a'), { kind: 'step', layers: [], context });
  for (const [name, text] of [
    [`${keyOf('b')}.json`, '{'],
    [`${keyOf('c')}.json`, '{"kind":"step"}'],
    [`${keyOf('d')}.json.1.tmp`, ''],
  ] as const)
    await writeFile(join(directory, 'cache', name), text);
  expect((await open()).list().map(({ key }) => key)).toEqual([keyOf('a')]);
  expect(await readdir(join(directory, 'cache'))).toEqual([`${keyOf('a')}.json`]);
});

/** Layers are files of 1 MiB each. A snapshot names those in `kept`. */
async function sweep(
  cache: LayerCache,
  limits: { hours: number; mib: number },
  kept: string[] = [],
): Promise<string[]> {
  const roots: Partial<Template>[] = [
    { templateId: 'base', createdAt: new Date(0).toISOString() },
    { templateId: 'root1', imageDigest: 'sha256:1', createdAt: new Date(0).toISOString(), sizeBytes: mib },
  ];
  const layerPath = (layerId: string): string => join(directory, layerId);
  for (const layerId of cache.holding().layers) {
    await writeFile(layerPath(layerId), Buffer.alloc(mib, 1));
    await truncate(layerPath(layerId), 4 * mib);
  }
  const removed: string[] = [];
  await sweepCache({
    builds: { cache, isHeld: () => false },
    host: {
      config: { buildCacheHours: limits.hours, buildCacheMb: limits.mib },
      checkpoints: { layerPath },
      logger: silentLogger,
    },
    clock,
    references: { collect: () => Promise.resolve() },
    snapshots: { list: () => [{ layers: kept, stateId: 's', templateId: 'base' }] },
    table: { all: () => [] },
    templates: {
      list: () => Promise.resolve(roots),
      find: (id: string) => Promise.resolve(roots.find(({ templateId }) => templateId === id)),
      remove: (id: string) => Promise.resolve(removed.push(id)),
    },
  } as unknown as Parameters<typeof sweepCache>[0]);
  return [...cache.list().map(({ key }) => key.charAt(0)), ...removed];
}

test('entries that were not used for long are removed, and so are image roots that nothing names any more', async () => {
  const cache = await open();
  await cache.write(keyOf('a'), { kind: 'step', layers: ['l1'], context });
  await cache.write(keyOf('b'), { kind: 'image', templateId: 'root1' });
  nowMs += 2 * 3_600_000;
  await cache.touch([keyOf('a')]);
  expect(await sweep(cache, { hours: 1, mib: 100 })).toEqual(['a', 'root1']);
});

test('above the size limit the entries used last are kept, and of one build the steps below the others', async () => {
  const cache = await open();
  await cache.write(keyOf('c'), { kind: 'step', layers: ['l3', 'l2', 'l1'], context });
  await cache.write(keyOf('b'), { kind: 'step', layers: ['l2', 'l1'], context });
  await cache.write(keyOf('a'), { kind: 'step', layers: ['l1'], context });
  nowMs -= 1000;
  await cache.write(keyOf('d'), { kind: 'step', layers: ['l4'], context });
  await cache.write(keyOf('e'), { kind: 'image', templateId: 'root1' });
  expect(await sweep(cache, { hours: 1, mib: 2 })).toEqual(['b', 'a', 'root1']);
});

test('layers that templates need anyway do not count', async () => {
  const cache = await open();
  await cache.write(keyOf('a'), { kind: 'step', layers: ['l2', 'l1'], context });
  await cache.write(keyOf('b'), { kind: 'image', templateId: 'root1' });
  expect(await sweep(cache, { hours: 1, mib: 1 }, ['l1', 'l2'])).toEqual(['a', 'b']);
});
