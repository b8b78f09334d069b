import { existsSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createOperationBench } from '../../testing/operation-bench.ts';
import type { OperationBench } from '../../testing/operation-bench.ts';
import { pauseSandbox } from '../pause/pause.ts';
import { resumeSandbox } from '../resume/resume.ts';
import { readRootIdentity } from '../../processes/sandbox-disk.ts';

let bench: OperationBench;
let sandboxId: string;
beforeEach(async () => {
  bench = await createOperationBench();
  sandboxId = (await bench.addRunning()).record.sandboxId;
  await pauseSandbox(bench.context, sandboxId, { keepMemory: true, durability: 'on-return', cause: 'request' });
});
afterEach(() => bench[Symbol.asyncDispose]());

const resume = async (): Promise<void> => {
  await resumeSandbox(bench.context, sandboxId, { timeoutSeconds: 60, withMemory: true, cause: 'request' });
};

test('a disk is used again over the root that it was made on', async () => {
  await resume();
  expect(await bench.readRecord(sandboxId)).toMatchObject({ state: 'running', layers: [], disk: 'kept' });
});

test.each(['5:7', ''])('a disk whose root was another (%j) becomes a layer under a fresh one', async (ground) => {
  await bench.context.table.update(bench.context.table.getTenants(sandboxId), { ground });
  await resume();
  const record = await bench.readRecord(sandboxId);
  expect(record).toMatchObject({
    state: 'running',
    disk: 'kept',
    ground: readRootIdentity(bench.context.host.envdBundle.directory),
  });
  expect(record?.layers).toHaveLength(1);
  const [layerId = ''] = record?.layers ?? [];
  expect(existsSync(bench.context.host.checkpoints.layerPath(layerId))).toBe(true);
  expect(await bench.context.host.checkpoints.isSealedLayer(layerId)).toBe(true);
  // From now on its disk refers to this root.
  await pauseSandbox(bench.context, sandboxId, { keepMemory: true, durability: 'on-return', cause: 'request' });
  await resume();
  expect((await bench.readRecord(sandboxId))?.layers).toEqual([layerId]);
});

test('a disk that cannot become a layer is left unchanged, and the sandbox can be resumed later', async () => {
  await bench.context.table.update(bench.context.table.getTenants(sandboxId), { ground: '5:7' });
  bench.driver.failNext('takeDisk', new Error('no'));
  await expect(resume()).rejects.toMatchObject({ reason: 'sandbox_resume_failed' });
  expect(await bench.readRecord(sandboxId)).toMatchObject({ state: 'paused', layers: [], disk: 'kept', ground: '5:7' });
  await resume();
  expect((await bench.readRecord(sandboxId))?.layers).toHaveLength(1);
});
