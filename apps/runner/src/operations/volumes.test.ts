import { SoulBoxError } from '@soulbox/base';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { TemplateBlueprint } from '../processes/blueprint.ts';
import type { VolumeMounts } from '../processes/volume-mounts.ts';
import { plainLifecycle } from '../registry/record.ts';
import type { VolumeOfSandbox } from '../registry/record.ts';
import type { LiveSandbox, RunningSandbox } from '../registry/table.ts';
import { createOperationBench } from '../testing/operation-bench.ts';
import type { OperationBench } from '../testing/operation-bench.ts';
import { forkSandbox } from './copies/fork.ts';
import { makeSnapshot } from './copies/snapshot.ts';
import { createSandbox } from './create.ts';
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
/** When the service has what was opened. */
let service: Promise<void>;
beforeEach(async () => {
  calls = [];
  refusal = undefined;
  syncRefusal = undefined;
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
  const wanted = { count: 1, timeoutSeconds: 30, teamId: 'team', keyId: '', creationId: '', secure: false };
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
