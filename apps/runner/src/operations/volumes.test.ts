import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree, SoulBoxError } from '@soulbox/base';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { TemplateBlueprint } from '../processes/blueprint.ts';
import type { VolumeMounts } from '../processes/volume-mounts.ts';
import { plainLifecycle } from '../registry/record.ts';
import type { VolumeOfSandbox } from '../registry/record.ts';
import type { LiveSandbox, RunningSandbox } from '../registry/table.ts';
import { createOperationBench } from '../testing/operation-bench.ts';
import { stageSandboxes } from '../backup/stage-sandboxes.ts';
import type { Staged } from '../backup/staged.ts';
import type { OperationBench } from '../testing/operation-bench.ts';
import { forkSandbox } from './copies/fork.ts';
import { makeSnapshot } from './copies/snapshot.ts';
import { createFromSnapshot, createSandbox } from './create.ts';
import { pauseSandbox } from './pause/pause.ts';
import { resumeSandbox } from './resume/resume.ts';

const volume: VolumeOfSandbox = {
  ...{ teamId: 'team', groupId: 'v1', volumeId: 'v1', name: 'data', path: '/data' },
  ...{ isReadOnly: false, sizeBytes: 0, teamBytes: 0, isBucket: false, prefix: '' },
};

let bench: OperationBench;
let sandbox: RunningSandbox;
let calls: string[];
let refusal: SoulBoxError | undefined;
let syncRefusal: SoulBoxError | undefined;
let copyRefusal: SoulBoxError | undefined;
/** When the service has what was opened. */
let service: Promise<void>;
beforeEach(async () => {
  calls = [];
  refusal = undefined;
  syncRefusal = undefined;
  copyRefusal = undefined;
  service = Promise.resolve();
  bench = await createOperationBench();
  const volumes: VolumeMounts = {
    open: async (_, wanted, firstIndex = 0) => {
      if (refusal !== undefined) throw refusal;
      calls.push(`open ${wanted.map(({ volumeId }) => volumeId).join()}`);
      const mounts = wanted.map(({ path }, at) => ({ index: firstIndex + at, path, mount: -1 }));
      const close = async (): Promise<void> => await Promise.resolve(void calls.push('close'));
      return await Promise.resolve({ volumes: mounts, served: service, [Symbol.asyncDispose]: close });
    },
    sync: async (wanted) =>
      await Promise.resolve(void calls.push(`sync ${wanted.map(({ volumeId }) => volumeId).join()}`)),
    copy: async ({ volumeId }, { copyId, isReadOnly }) => {
      calls.push(`copy ${volumeId} ${copyId}${isReadOnly ? ' read-only' : ''}`);
      // The source is frozen, or none: nothing is written meanwhile.
      calls.push(...bench.driver.calls.filter((call) => /^(freeze|thaw|checkpoint) /.test(call)).slice(-1));
      await Promise.resolve();
      if (copyRefusal !== undefined) throw copyRefusal;
    },
    holdForBackup: async ({ volumeId }) => {
      calls.push(`hold ${volumeId}`);
      calls.push(...bench.driver.calls.filter((call) => /^(freeze|thaw|checkpoint) /.test(call)).slice(-1));
      await Promise.resolve();
      if (copyRefusal !== undefined) throw copyRefusal;
    },
    adopt: async () => await Promise.resolve(),
    writeOpenFiles: async () => {
      calls.push('write');
      if (syncRefusal !== undefined) throw syncRefusal;
      await Promise.resolve();
    },
    release: async () => await Promise.resolve(void calls.push('release')),
    releaseExcept: async () => await Promise.resolve(),
  };
  Object.assign(bench.context.host, { volumes });
  sandbox = await bench.addRunning({}, { volumes: [volume] });
  calls.length = 0;
});
afterEach(() => bench[Symbol.asyncDispose]());

const pause = async (keepMemory: boolean): Promise<void> => {
  const how = { keepMemory, durability: 'on-return', cause: 'request' } as const;
  await pauseSandbox(bench.context, sandbox.record.sandboxId, how);
};
const resume = async (): Promise<void> => {
  const how = { timeoutSeconds: 30, withMemory: true, cause: 'request' } as const;
  await resumeSandbox(bench.context, sandbox.record.sandboxId, how);
};
const attached = (): string[] => bench.driver.calls.filter((call) => call.startsWith('attachVolumes'));

it('a pause gives volumes back and flushes them, and a resume opens them again for the saved memory', async () => {
  await pause(true);
  expect(calls).toEqual(['release', 'sync v1']);
  await resume();
  expect(calls).toEqual(['release', 'sync v1', 'open v1', 'close']);
  // At the start of the sandbox. The restore has them in what it restores.
  expect(attached()).toHaveLength(1);
});

it('a start on the kept files mounts them anew', async () => {
  await pause(false);
  await resume();
  expect(calls).toEqual(['release', 'sync v1', 'open v1', 'close']);
  expect(attached()).toHaveLength(2);
});

it('a sandbox whose volume is gone stays paused', async () => {
  await pause(true);
  refusal = new SoulBoxError('volume_not_found', 'The volume was deleted.');
  await expect(resume()).rejects.toThrow();
  expect(bench.context.table.getTenants(sandbox.record.sandboxId).record.state).toBe('paused');
  refusal = undefined;
  await resume();
});

const createWithVolume = async (): Promise<RunningSandbox> => {
  const spare = (await bench.addLeft({ state: 'warm', volumes: [] }, 'running')) as LiveSandbox;
  const context = { ...bench.context, pool: { take: async () => await Promise.resolve(spare) } };
  const template = { templateId: 'base', environment: {}, defaultUser: 'root', defaultWorkdir: '/', diskMb: 64 };
  const blueprint = { isolation: spare.record.driver, template } as unknown as Omit<TemplateBlueprint, 'kind'>;
  return await createSandbox(context, blueprint, {
    ...{ teamId: 'team', keyId: '', creationId: '', alias: 'base', metadata: {}, envVars: {} },
    ...{
      lifecycle: { ...plainLifecycle, timeoutSeconds: 60 },
      network: { allowOut: [], denyOut: [], maskRequestHost: '' },
      volumes: [volume],
    },
    ...{ secure: false, logOutput: false },
  });
};

it('a create mounts volumes while the service gets them', async () => {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  service = promise;
  const created = createWithVolume();
  await expect.poll(() => attached()).toHaveLength(2);
  expect(calls).toEqual(['open v1']);
  resolve(undefined);
  expect((await created).record.volumes).toEqual([volume]);
  expect(calls).toEqual(['open v1', 'close']);
});

it('a create whose volumes the service refuses leaves no sandbox', async () => {
  service = Promise.reject(new SoulBoxError('volume_not_found', 'The volume was deleted.'));
  service.catch(() => undefined);
  await expect(createWithVolume()).rejects.toMatchObject({ reason: 'volume_not_found' });
  expect(calls).toEqual(['open v1', 'close', 'release']);
  expect(bench.context.table.tenants().map(({ record }) => record.sandboxId)).toEqual([sandbox.record.sandboxId]);
});

it('copies have the volumes of their source, also those of a snapshot', async () => {
  const { sandboxId } = sandbox.record;
  const [copy] = await forkSandbox(bench.context, { source: { sandboxId }, ...wanted });
  expect(copy).toMatchObject({ sandbox: { record: { volumes: [volume] } } });
  await makeSnapshot(bench.context, sandboxId, 's1');
  const [later] = await forkSandbox(bench.context, { source: { snapshotId: 's1' }, ...wanted });
  expect(later).toMatchObject({ sandbox: { record: { volumes: [volume] } } });
  const others = forkSandbox(bench.context, { source: { snapshotId: 's1' }, ...wanted, teamId: 'other' });
  await expect(others).rejects.toMatchObject({ reason: 'forbidden' });
});

it('open files of a bucket are written before the memory is saved, or it is not saved', async () => {
  const bucket = { ...volume, volumeId: 'b1', groupId: 'b1', path: '/bucket', isBucket: true };
  const other = await bench.addRunning({}, { volumes: [bucket] });
  calls.length = 0;
  const how = { durability: 'on-return', cause: 'request' } as const;
  syncRefusal = new SoulBoxError('storage_unavailable', 'Away.');
  const pausing = pauseSandbox(bench.context, other.record.sandboxId, { ...how, keepMemory: true });
  await expect(pausing).rejects.toMatchObject({ reason: 'checkpoint_failed' });
  expect(other.record.state).toBe('running');
  syncRefusal = undefined;
  await pauseSandbox(bench.context, other.record.sandboxId, { ...how, keepMemory: true });
  expect(calls).toEqual(['write', 'write', 'release', 'sync b1']);
});

const wanted = { count: 1, timeoutSeconds: 30, teamId: 'team', keyId: '', creationId: '', secure: false };
const copyTo = (copyId: string) => ({ volumeId: 'v1', copyId, name: `data-${copyId}` });
const own = (copyId: string): VolumeOfSandbox => ({ ...volume, volumeId: copyId, name: `data-${copyId}` });
const states = (): string[] => bench.context.table.tenants().map(({ record }) => record.state);

it('copies get volumes of their own from the moment of the memory, also several at once', async () => {
  const { sandboxId } = sandbox.record;
  const ownVolumes = [[copyTo('c1')], [copyTo('c2')], [copyTo('c3')]];
  const copies = await forkSandbox(bench.context, { source: { sandboxId }, ...wanted, count: 3, ownVolumes });
  expect(copies.map((copy) => 'sandbox' in copy && copy.sandbox.record.volumes)).toEqual(
    ['c1', 'c2', 'c3'].map((id) => [own(id)]),
  );
  // The first one while the source is frozen, the others from it, while the source runs on.
  const checkpointed = expect.stringContaining(`checkpoint ${sandboxId}`) as string;
  expect(calls.slice(0, 2)).toEqual(['copy v1 c1', checkpointed]);
  expect(calls.filter((call) => call.startsWith('copy ')).toSorted()).toEqual([
    ...['copy c1 c2', 'copy c1 c3', 'copy v1 c1'],
  ]);
  expect(calls).toContain(`thaw ${sandboxId}`);
  expect(sandbox.record.volumes).toEqual([volume]);
});

it('a paused source, and one that continues as a copy of itself, are copied with their volumes too', async () => {
  const { sandboxId } = sandbox.record;
  bench.driver.diskUsedBytes = 2 ** 30;
  const [large] = await forkSandbox(bench.context, { source: { sandboxId }, ...wanted, ownVolumes: [[copyTo('c1')]] });
  expect(large).toMatchObject({ sandbox: { record: { volumes: [own('c1')] } } });
  expect(sandbox.record.volumes).toEqual([volume]);
  await pause(true);
  calls.length = 0;
  const [paused] = await forkSandbox(bench.context, { source: { sandboxId }, ...wanted, ownVolumes: [[copyTo('c2')]] });
  expect(paused).toMatchObject({ sandbox: { record: { volumes: [own('c2')] } } });
  expect(calls[0]).toBe('copy v1 c2');
});

it('a fork whose volumes cannot be copied makes no copy, and its source runs on', async () => {
  const { sandboxId } = sandbox.record;
  const fork = async () =>
    await forkSandbox(bench.context, { source: { sandboxId }, ...wanted, ownVolumes: [[copyTo('c1')]] });
  for (const diskUsedBytes of [0, 2 ** 30]) {
    bench.driver.diskUsedBytes = diskUsedBytes;
    copyRefusal = new SoulBoxError('limit_exceeded', 'Too much.');
    await expect(fork()).rejects.toMatchObject({ reason: 'limit_exceeded' });
    expect(states()).toEqual(['running']);
  }
  await expect(
    forkSandbox(bench.context, { source: { sandboxId }, ...wanted, count: 2, ownVolumes: [[copyTo('c1')]] }),
  ).rejects.toMatchObject({ reason: 'bad_request' });
  const unknown = [[{ ...copyTo('c1'), volumeId: 'v2' }]];
  await expect(
    forkSandbox(bench.context, { source: { sandboxId }, ...wanted, ownVolumes: unknown }),
  ).rejects.toMatchObject({ reason: 'volume_not_found' });
});

it('nothing with volumes of its own is announced when the caller, which would remove them, is gone', async () => {
  const { sandboxId } = sandbox.record;
  const signal = AbortSignal.abort();
  const source = { source: { sandboxId }, ...wanted, ownVolumes: [[copyTo('c1')]] };
  await expect(forkSandbox(bench.context, { ...source, signal })).rejects.toMatchObject({
    reason: 'control_unavailable',
  });
  const making = makeSnapshot(bench.context, sandboxId, 's1', { copies: [copyTo('c1')], signal });
  await expect(making).rejects.toMatchObject({ reason: 'control_unavailable' });
  expect(bench.context.snapshots.list()).toEqual([]);
  expect(states()).toEqual(['running']);
  expect(bench.events.filter(({ kind }) => kind === 'created')).toEqual([]);
});

it('a snapshot with copies of the volumes gives each sandbox copies of them, and refuses to share them', async () => {
  const { sandboxId } = sandbox.record;
  await makeSnapshot(bench.context, sandboxId, 's1', { copies: [copyTo('r1')], signal: undefined });
  expect(calls[0]).toBe('copy v1 r1 read-only');
  expect(bench.context.snapshots.get('s1')).toMatchObject({ ownVolumes: true, volumes: [own('r1')] });
  const source = { snapshotId: 's1' };
  await expect(forkSandbox(bench.context, { source, ...wanted })).rejects.toMatchObject({ reason: 'bad_request' });
  const copies = [[{ volumeId: 'r1', copyId: 'c1', name: 'mine' }]];
  const [fork] = await forkSandbox(bench.context, { source, ...wanted, ownVolumes: copies });
  expect(fork).toMatchObject({ sandbox: { record: { volumes: [{ volumeId: 'c1', name: 'mine', path: '/data' }] } } });
  const context = { ...bench.context, pool: { take: () => Promise.reject(new Error('a spare has other volumes')) } };
  const request = {
    ...{ ...wanted, alias: '', metadata: {}, envVars: {}, logOutput: false, volumes: [] },
    ...{ lifecycle: { ...plainLifecycle, timeoutSeconds: 60 } },
    ...{ network: { allowOut: [], denyOut: [], maskRequestHost: '' } },
  };
  await expect(createFromSnapshot(context, 's1', request)).rejects.toMatchObject({ reason: 'bad_request' });
  const ownVolumes = [{ volumeId: 'r1', copyId: 'c2', name: 'hers' }];
  const created = await createFromSnapshot(context, 's1', { ...request, ownVolumes });
  expect(created.record).toMatchObject({ state: 'running', volumes: [{ volumeId: 'c2', name: 'hers' }] });
  const gone = { ...request, ownVolumes, signal: AbortSignal.abort() };
  await expect(createFromSnapshot(context, 's1', gone)).rejects.toMatchObject({ reason: 'control_unavailable' });
  expect(states().sort()).toEqual(['running', 'running', 'running']);
});

async function makeFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = join(bench.context.host.dataDirectory, 'backup-stage');
  await mkdir(path);
  return { path, [Symbol.asyncDispose]: async () => await removeTree(path) };
}

/** Saves all sandboxes for a backup. */
async function stageAll(): Promise<Staged[]> {
  const reports: Staged[] = [];
  await using folder = await makeFolder();
  calls.length = 0;
  const { signal } = new AbortController();
  await stageSandboxes(bench.context, folder.path, (staged) => void reports.push(staged), signal);
  return reports;
}

it('a backup has the volumes of a running sandbox from the moment of its memory', async () => {
  const { sandboxId } = sandbox.record;
  for (const diskUsedBytes of [0, 2 ** 30]) {
    bench.driver.diskUsedBytes = diskUsedBytes;
    expect(await stageAll()).toEqual([{ what: 'sandbox', id: sandboxId }]);
    // Frozen: the last call to the driver before was the save of the memory.
    expect(calls.slice(0, 2)).toEqual(['hold v1', expect.stringContaining(`checkpoint ${sandboxId}`) as string]);
    expect(calls.filter((call) => call.startsWith('hold'))).toHaveLength(1);
    expect(sandbox.record.state).toBe('running');
  }
});

it('a backup saves a sandbox whose volume cannot be held: the volume comes later, or is left out', async () => {
  copyRefusal = new SoulBoxError('volumes_unavailable', 'Away.');
  expect(await stageAll()).toEqual([{ what: 'sandbox', id: sandbox.record.sandboxId }]);
  expect(calls[0]).toBe('hold v1');
});

it('a backup takes no moment for paused sandboxes, for what is only read, and for buckets', async () => {
  await pause(true);
  await bench.addRunning(
    {},
    {
      volumes: [
        { ...volume, volumeId: 'v2', isReadOnly: true },
        { ...volume, volumeId: 'b1', isBucket: true, path: '/bucket' },
        { ...volume, volumeId: 'v3', path: '/one' },
        { ...volume, volumeId: 'v3', path: '/other' },
      ],
    },
  );
  expect(await stageAll()).toHaveLength(2);
  expect(calls.filter((call) => call.startsWith('hold'))).toEqual(['hold v3']);
});
