import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentLogger } from '@soulbox/base/logger';
import type { Collection } from '@soulbox/checkpoints';
import { keepAllWhileUnreadable } from './keep-all-checkpoints.ts';
import { createOperationBench } from '../testing/operation-bench.ts';
import { tenantOfCopy } from '../operations/copies/tenant-of-copy.ts';
import { openTestSeal } from '../testing/test-keys.ts';
import { openSnapshotStore } from './snapshot-store.ts';
import type { SnapshotRecord } from './snapshot-store.ts';

let snapshot: SnapshotRecord;
let folder: string;
let directory: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-snapshots-'));
  directory = join(folder, 'snapshots');
  await using bench = await createOperationBench();
  const { tenant } = (await bench.addRunning()).record;
  snapshot = {
    ...{ formatVersion: 2, snapshotId: 's1', sandboxId: 'iabc', stateId: 'state1', hasMemory: true, layers: ['l1'] },
    ...{
      driver: 'container',
      templateId: 'base',
      runtimeName: '',
      cpuCount: 1,
      memoryMb: 1,
      diskMb: 1,
      volumes: [],
      tenant,
    },
    ...{ createdAtMs: 1, sizeBytes: 1 },
  };
});
afterEach(() => rm(folder, { recursive: true }));

test('an unreadable snapshot is set aside, the others are loaded, and no checkpoint is removed', async () => {
  await (await openSnapshotStore(directory, silentLogger, openTestSeal())).write(snapshot);
  await writeFile(join(directory, 'torn.json'), '{"formatVersion":1,');
  const snapshots = await openSnapshotStore(directory, silentLogger, openTestSeal());
  expect(snapshots.list()).toMatchObject([{ snapshotId: 's1' }]);
  expect(await readdir(directory)).toEqual(['s1.json']);
  expect(await readdir(`${directory}-unreadable`)).toEqual(['torn.json']);

  const removed: string[] = [];
  const checkpoints = {
    collect: () => Promise.resolve<Collection>({ removedCheckpoints: ['state2'], removedLayers: [] }),
    remove: (checkpointId: string) => Promise.resolve(void removed.push(checkpointId)),
    setAside: () => Promise.resolve(),
  };
  const none = { hasSetAside: () => Promise.resolve(false) };
  const careful = keepAllWhileUnreadable(checkpoints, [none, snapshots], silentLogger);
  expect(await careful.collect(() => ({ checkpoints: new Set(), layers: new Set() }))).toEqual({
    ...{ removedCheckpoints: [], removedLayers: [] },
  });
  await careful.remove('state2');
  expect(removed).toEqual([]);

  // An administrator removes the file. That takes effect without a restart of the server.
  await rm(join(`${directory}-unreadable`, 'torn.json'));
  await careful.remove('state2');
  expect(removed).toEqual(['state2']);
  expect((await careful.collect(() => ({ checkpoints: new Set(), layers: new Set() }))).removedCheckpoints).toEqual([
    'state2',
  ]);
});

test('a snapshot is read as it was written, and only its owner can read the file', async () => {
  await (await openSnapshotStore(directory, silentLogger, openTestSeal())).write(snapshot);
  const snapshots = await openSnapshotStore(directory, silentLogger, openTestSeal());
  expect(snapshots.get('s1')).toMatchObject({ stateId: 'state1', layers: ['l1'] });
  expect((await stat(join(directory, 's1.json'))).mode & 0o777).toBe(0o600);
  expect(await snapshots.hasSetAside()).toBe(false);
});

test('a snapshot does not contain the tokens of its source, and copies of it get tokens of their own', async () => {
  const tenant = { ...snapshot.tenant, envdAccessToken: 'canary-envd', trafficAccessToken: 'canary-traffic' };
  const store = await openSnapshotStore(directory, silentLogger, openTestSeal());
  await store.write({ ...snapshot, tenant });
  expect(await readFile(join(directory, 's1.json'), 'utf8')).not.toContain('canary');
  const copy = tenantOfCopy(store.get('s1').tenant, 'ib', {}, 0);
  expect([copy.envdAccessToken, copy.trafficAccessToken]).toEqual([
    expect.stringMatching(/^[0-9a-f]{64}$/),
    expect.stringMatching(/^[0-9a-f]{64}$/),
  ]);
  await store.write({ ...snapshot, tenant: { ...tenant, trafficAccessToken: '' } });
  expect(tenantOfCopy(store.get('s1').tenant, 'ib', {}, 0).trafficAccessToken).toBe('');
});

test('tokens that an older version stored in a snapshot are removed by the next start', async () => {
  await openSnapshotStore(directory, silentLogger, openTestSeal());
  const tenant = { ...snapshot.tenant, envdAccessToken: 'canary-envd' };
  await writeFile(join(directory, 's1.json'), JSON.stringify({ ...snapshot, tenant }), { mode: 0o600 });
  const store = await openSnapshotStore(directory, silentLogger, openTestSeal());
  expect(await readFile(join(directory, 's1.json'), 'utf8')).not.toContain('canary');
  expect(store.get('s1').tenant.envdAccessToken).not.toBe('');
  const { ino } = await stat(join(directory, 's1.json'));
  await openSnapshotStore(directory, silentLogger, openTestSeal());
  expect((await stat(join(directory, 's1.json'))).ino).toBe(ino);
});

test('a snapshot of a newer version is refused, and nothing is moved', async () => {
  await (
    await openSnapshotStore(directory, silentLogger, openTestSeal())
  ).write({ ...snapshot, formatVersion: 5 } as never);
  await expect(openSnapshotStore(directory, silentLogger, openTestSeal())).rejects.toMatchObject({
    reason: 'config_invalid',
  });
  expect(await readdir(directory)).toEqual(['s1.json']);
});

test('the first blocks of a snapshot are noted once, with a bound, and only if it is still there', async () => {
  const snapshots = await openSnapshotStore(directory, silentLogger, openTestSeal());
  await snapshots.write(snapshot);
  const many = Array.from({ length: 300 }, (_, index) => `pages-1.img:${index}`);
  await snapshots.noteFirstBlocks('s1', ['../x:1', 'y', ...many]);
  expect(snapshots.get('s1').firstBlocks).toEqual(many.slice(0, 256));
  await snapshots.noteFirstBlocks('s1', ['pages-9.img:1']);
  const again = await openSnapshotStore(directory, silentLogger, openTestSeal());
  expect(again.get('s1')).toEqual({ ...snapshots.get('s1'), firstBlocks: many.slice(0, 256) });

  await snapshots.write({ ...snapshot, snapshotId: 's2' });
  await Promise.all([snapshots.noteFirstBlocks('s2', many), snapshots.remove('s2')]);
  await snapshots.noteFirstBlocks('s2', many);
  expect(await readdir(directory)).toEqual(['s1.json']);
  await Promise.all([snapshots.remove('s1'), snapshots.noteFirstBlocks('s1', many)]);
  expect(await readdir(directory)).toEqual([]);
  expect(snapshots.list()).toEqual([]);
});
