import { mkdir, rename, rmdir } from 'node:fs/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { retrySteps } from './retry-steps.ts';
import { pauseSandbox } from '../operations/pause/pause.ts';
import { resumeSandbox } from '../operations/resume/resume.ts';
import { createOperationBench } from '../testing/operation-bench.ts';
import type { OperationBench } from '../testing/operation-bench.ts';

/** A save waits for the disk. */
const savedWithin = { timeout: 10_000 };
let bench: OperationBench;
beforeEach(async () => {
  bench = await createOperationBench();
});
afterEach(() => bench[Symbol.asyncDispose]());

const neverEnd = (sandboxId: string): Promise<boolean> => Promise.reject(new Error(`${sandboxId} is lost`));
const resume = { timeoutSeconds: 60, withMemory: true, cause: 'request' } as const;

it('a sandbox in its grace period stays frozen, and a resume only thaws it', async () => {
  const { sandboxId } = (await bench.addRunning()).record;
  await pauseSandbox(bench.context, sandboxId, { keepMemory: true, durability: 'in-background', cause: 'request' });
  await expect.poll(() => bench.context.table.isBusy(sandboxId), savedWithin).toBe(false);
  await retrySteps(bench.context, neverEnd);
  expect([bench.context.table.getTenants(sandboxId).record.state, bench.driver.stateOf(sandboxId)]).toEqual([
    'pausing',
    'frozen',
  ]);
  await resumeSandbox(bench.context, sandboxId, resume);
  expect(bench.driver.calls).not.toContain(`restore ${sandboxId}`);
});

it('a sandbox whose resume was not confirmed keeps its memory until there is room to save it, and is then paused with it', async () => {
  const { sandboxId } = (await bench.addRunning()).record;
  await pauseSandbox(bench.context, sandboxId, { keepMemory: true, durability: 'on-return', cause: 'request' });
  await bench.envd.answer('/resumed', 500);
  bench.noRoomFor = 'Saving the sandbox';
  await expect(resumeSandbox(bench.context, sandboxId, resume)).rejects.toMatchObject({ reason: 'disk_full' });
  expect(bench.driver.stateOf(sandboxId)).toBe('frozen');
  await expect(resumeSandbox(bench.context, sandboxId, resume)).rejects.toMatchObject({
    reason: 'sandbox_resume_failed',
    message: `Sandbox "${sandboxId}" is still being paused. Retry.`,
  });
  await retrySteps(bench.context, neverEnd);
  expect(bench.driver.stateOf(sandboxId)).toBe('frozen');
  bench.noRoomFor = '';
  await retrySteps(bench.context, neverEnd);
  expect(await bench.readRecord(sandboxId)).toMatchObject({ state: 'paused', saved: { hasMemory: true } });
  await bench.envd.answer('/resumed', 204);
  await resumeSandbox(bench.context, sandboxId, resume);
  expect(bench.driver.stateOf(sandboxId)).toBe('running');
});

it('a sandbox that confirms late continues to run', async () => {
  const { sandboxId } = (await bench.addRunning()).record;
  await pauseSandbox(bench.context, sandboxId, { keepMemory: true, durability: 'on-return', cause: 'request' });
  await bench.envd.answer('/resumed', 500);
  bench.noRoomFor = 'Saving the sandbox';
  await expect(resumeSandbox(bench.context, sandboxId, resume)).rejects.toMatchObject({ reason: 'disk_full' });
  await bench.envd.answer('/resumed', 204);
  await retrySteps(bench.context, neverEnd);
  expect(await bench.readRecord(sandboxId)).toMatchObject({ state: 'running' });
  expect(bench.driver.stateOf(sandboxId)).toBe('running');
});

/** While it is blocked, the record of the sandbox cannot be written. The pause fails from the end of the processes on. */
function blockRecordAtEnd(sandboxId: string): { unblock: () => Promise<void> } {
  const file = `${bench.context.host.store.directoryOf(sandboxId)}.json`;
  const suspend = bench.driver.suspend.bind(bench.driver);
  bench.driver.suspend = async (...args) => {
    bench.driver.suspend = suspend;
    await suspend(...args);
    await rename(file, `${file}.kept`);
    await mkdir(file);
  };
  return {
    async unblock() {
      await rmdir(file);
      await rename(`${file}.kept`, file);
    },
  };
}

it('a sandbox keeps its slot until its record says that it is paused, so that a retry meets no other sandbox', async () => {
  const { slot, sandboxId } = (await bench.addRunning()).record;
  const record = blockRecordAtEnd(sandboxId);
  await pauseSandbox(bench.context, sandboxId, { keepMemory: true, durability: 'on-return', cause: 'request' });
  expect(bench.context.table.getTenants(sandboxId).record).toMatchObject({ state: 'pausing', slot });
  const newer = (await bench.addRunning()).record;
  expect(newer.slot).not.toBe(slot);

  await record.unblock();
  await retrySteps(bench.context, neverEnd);
  expect(await bench.readRecord(sandboxId)).toMatchObject({ state: 'paused', slot: 0 });
  expect([...bench.network.plugged]).toEqual([newer.slot]);
  const later = [await bench.addRunning(), await bench.addRunning()].map((sandbox) => sandbox.record.slot);
  expect(later[0]).toBe(slot);
  expect(new Set([...later, newer.slot]).size).toBe(3);
});
