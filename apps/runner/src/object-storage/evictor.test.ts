import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { memoryAccess } from '@soulbox/vault/testing';
import type { MemoryAccess } from '@soulbox/vault/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeSnapshot } from '../operations/copies/snapshot.ts';
import { pauseSandbox } from '../operations/pause/pause.ts';
import { resumeSandbox } from '../operations/resume/resume.ts';
import { fetchingCheckpoints } from '../stored/fetching-checkpoints.ts';
import { openStoredCopies } from '../stored/open-stored-copies.ts';
import { createOperationBench } from '../testing/operation-bench.ts';
import type { OperationBench } from '../testing/operation-bench.ts';
import type { OperationContext } from '../operations/operation-context.ts';
import { startUploader } from './uploader.ts';
import type { Uploader } from './uploader.ts';

const serverId = 'a'.repeat(20);
const keys = { runner: randomBytes(32), owner: randomBytes(32) };
const limits = { evictMs: 5, atOnce: 2, settleMs: 1, lookMs: 5, awayMs: 10, awayMaxMs: 20, orphanMs: 0 };
const patience = { pauseMs: 5, totalMs: 30, callMs: 500 };

let bench: OperationBench;
let folder: string;
let access: MemoryAccess;
let context: OperationContext;
let uploader: Uploader;
let stopping: AbortController;
beforeEach(async () => {
  bench = await createOperationBench();
  folder = await mkdtemp(join(tmpdir(), 'evictor-'));
  access = memoryAccess();
  stopping = new AbortController();
  const { host } = bench.context;
  const name = host.envdBundle.directory.split('/').at(-1) ?? '';
  for (const path of [`runtimes/${name}`, 'template/rootfs']) await mkdir(join(folder, path), { recursive: true });
  await writeFile(join(folder, 'template', 'rootfs', 'file'), 'of the template');
  const { templates, clock } = bench.context;
  const stored = await openStoredCopies({
    ...{
      source: { access, serverId, key: keys.runner },
      dataDirectory: host.dataDirectory,
      templates,
      clock,
      patience,
    },
    ...{ checkpoints: host.checkpoints, runtimes: join(folder, 'runtimes'), disks: host.disks, logger: silentLogger },
    signal: stopping.signal,
  });
  const checkpoints = fetchingCheckpoints(host.checkpoints, stored);
  const envdBundle = { ...host.envdBundle, directory: join(folder, 'runtimes', name) };
  context = { ...bench.context, host: { ...host, stored, checkpoints, envdBundle } };
});
afterEach(async () => {
  await uploader[Symbol.asyncDispose]();
  stopping.abort(new Error('the test is over'));
  await bench[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

function start(localBytes: number | undefined, graceMs = -1): void {
  // The clock of the bench does not go on by itself, and the times of files are real.
  bench.nowMs = Date.now() + 3_600_000;
  const find = async (): Promise<unknown> => await Promise.resolve({ rootfs: join(folder, 'template/rootfs') });
  const templates = { find } as unknown as OperationContext['templates'];
  const eviction = { localBytes, graceMs, fullShare: 0, fullBytes: 0 };
  const settings = { serverId, owner: { nonce: 'one', earlier: [] }, keys, eviction };
  uploader = startUploader({ ...context, templates }, access, settings, limits);
}

const statesHere = async (): Promise<string[]> => await readdir(join(context.host.dataDirectory, 'states'));
const pause = async (sandboxId: string): Promise<string> => {
  await pauseSandbox(context, sandboxId, { keepMemory: true, durability: 'on-return', cause: 'request' });
  return context.table.getTenants(sandboxId).record.saved?.stateId ?? '';
};
const addPaused = async (): Promise<{ sandboxId: string; stateId: string }> => {
  const { sandboxId } = (await bench.addRunning()).record;
  return { sandboxId, stateId: await pause(sandboxId) };
};
const resume = async (sandboxId: string): Promise<unknown> =>
  await resumeSandbox(context, sandboxId, { timeoutSeconds: 60, withMemory: true, cause: 'request' });

test('what the store has is removed here, and comes back when it is needed', async () => {
  const { sandboxId, stateId } = await addPaused();
  start(1);
  await expect.poll(statesHere, { timeout: 10_000 }).not.toContain(stateId);
  await expect.poll(() => uploader.figures(), { timeout: 10_000 }).toMatchObject({ evictions: 1, localBytes: 0 });
  expect(uploader.figures().evictedBytes).toBeGreaterThan(0);
  await resume(sandboxId);
  expect(context.table.getTenants(sandboxId).record.state).toBe('running');
});

test('without a bound everything stays', async () => {
  const { stateId } = await addPaused();
  start(undefined);
  await expect.poll(() => uploader.figures(), { timeout: 10_000 }).toMatchObject({ state: 'idle', uploaded: 1 });
  await new Promise((done) => setTimeout(done, 100));
  expect(await statesHere()).toContain(stateId);
  expect(uploader.figures()).toMatchObject({ evictions: 0 });
  expect(uploader.figures().localBytes).toBeGreaterThan(0);
});

test('what is not in the store stays', async () => {
  const { stateId } = await addPaused();
  access.fault = (method, name) => {
    if (method === 'put' && name.includes('/index/states/')) throw new SoulBoxError('storage_access_denied', 'No.');
  };
  start(1);
  await expect.poll(() => uploader.figures().failures, { timeout: 10_000 }).toBeGreaterThan(0);
  await new Promise((done) => setTimeout(done, 100));
  expect(await statesHere()).toContain(stateId);
});

test('what was used a moment ago, and what an operation holds, stays', async () => {
  const [used, held] = [await addPaused(), await addPaused()];
  using _hold = context.references.hold({ checkpoints: [held.stateId] });
  start(1, 600_000);
  await expect.poll(() => uploader.figures(), { timeout: 10_000 }).toMatchObject({ state: 'idle', uploaded: 2 });
  await new Promise((done) => setTimeout(done, 100));
  expect((await statesHere()).sort()).toEqual([used.stateId, held.stateId].sort());
  await uploader[Symbol.asyncDispose]();
  start(1);
  await expect.poll(statesHere, { timeout: 10_000 }).toEqual([held.stateId]);
});

test('the least recently used are removed first, until the rest fits', async () => {
  const [first, second] = [await addPaused(), await addPaused()];
  start(undefined);
  await expect.poll(() => uploader.figures(), { timeout: 10_000 }).toMatchObject({ state: 'idle', uploaded: 2 });
  const { localBytes } = uploader.figures();
  await uploader[Symbol.asyncDispose]();
  // The uploads were uses of both.
  bench.nowMs += 1000;
  await context.host.checkpoints.open(second.stateId);
  start(localBytes - 1);
  bench.nowMs += 2000;
  await expect.poll(statesHere, { timeout: 10_000 }).not.toContain(first.stateId);
  await new Promise((done) => setTimeout(done, 100));
  expect(await statesHere()).toContain(second.stateId);
});

test('an evicted checkpoint of which the store lost a part is damage, and the sandbox stays paused', async () => {
  const { sandboxId, stateId } = await addPaused();
  start(1);
  await expect.poll(statesHere, { timeout: 10_000 }).not.toContain(stateId);
  for (const name of access.objects.keys()) if (name.includes(`/data/states/${stateId}/`)) access.objects.delete(name);
  await expect(resume(sandboxId)).rejects.toMatchObject({ reason: 'storage_damaged' });
  expect(context.table.getTenants(sandboxId).record.state).toBe('paused');
});

test('while the store is away an evicted sandbox stays paused, and can be resumed afterwards', async () => {
  const { sandboxId, stateId } = await addPaused();
  start(1);
  await expect.poll(statesHere, { timeout: 10_000 }).not.toContain(stateId);
  access.fault = () => {
    throw new SoulBoxError('storage_unavailable', 'The store is away.');
  };
  await expect(resume(sandboxId)).rejects.toMatchObject({ reason: 'storage_unavailable' });
  expect(context.table.getTenants(sandboxId).record.state).toBe('paused');
  access.fault = () => undefined;
  await resume(sandboxId);
  expect(context.table.getTenants(sandboxId).record.state).toBe('running');
});

test('a snapshot that was evicted is copied', async () => {
  const { sandboxId, stateId } = await addPaused();
  await makeSnapshot(context, sandboxId, 'kept');
  start(1);
  const layersHere = async (): Promise<string[]> => await readdir(join(context.host.dataDirectory, 'layers'));
  await expect.poll(async () => [...(await statesHere()), ...(await layersHere())], { timeout: 10_000 }).toEqual([]);
  // With a grace period of nothing it would remove them again.
  await uploader[Symbol.asyncDispose]();
  const { layers } = context.snapshots.get('kept');
  await context.host.checkpoints.open(stateId);
  for (const layerId of layers) await context.host.checkpoints.verifyLayer(layerId);
  expect((await layersHere()).length).toBe(2 * layers.length);
});
