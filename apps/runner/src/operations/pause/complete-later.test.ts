import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { retrySteps } from '../../upkeep/retry-steps.ts';
import { createOperationBench } from '../../testing/operation-bench.ts';
import type { OperationBench } from '../../testing/operation-bench.ts';
import { pauseSandbox } from './pause.ts';
import { resumeSandbox } from '../resume/resume.ts';

/** A save waits for the disk. */
const savedWithin = { timeout: 10_000 };
let bench: OperationBench;
beforeEach(async () => {
  bench = await createOperationBench({ pauseGraceSeconds: 0 });
});
afterEach(() => bench[Symbol.asyncDispose]());

const saving = 'Saving the sandbox';
const pause = { keepMemory: true, durability: 'in-background', cause: 'request' } as const;

/** The purposes for which room is reserved while the memory is saved. */
function watchSaving(): string[][] {
  const seen: string[][] = [];
  const checkpoint = bench.driver.checkpoint.bind(bench.driver);
  vi.spyOn(bench.driver, 'checkpoint').mockImplementation(async (instance, directory) => {
    seen.push([...bench.roomFor]);
    await checkpoint(instance, directory);
    seen.push([...bench.roomFor]);
  });
  return seen;
}

it('room for a save in the background is reserved from before the call returns until the save has ended', async () => {
  const seen = watchSaving();
  const { sandboxId } = (await bench.addRunning()).record;
  await pauseSandbox(bench.context, sandboxId, pause);
  await expect.poll(() => bench.context.table.getTenants(sandboxId).record.state, savedWithin).toBe('paused');
  expect(seen).toEqual([[saving], [saving]]);
  expect(bench.roomFor).toEqual([]);
});

it('the room is released when the save fails, and when a resume came first', async () => {
  const failed = (await bench.addRunning()).record.sandboxId;
  bench.driver.failNext('checkpoint', new Error('no'));
  await pauseSandbox(bench.context, failed, pause);
  await expect.poll(() => bench.context.table.getTenants(failed).record.cause, savedWithin).toBe('pause_failed');
  const resumed = (await bench.addRunning()).record.sandboxId;
  await Promise.all([
    pauseSandbox(bench.context, resumed, pause),
    resumeSandbox(bench.context, resumed, { timeoutSeconds: 60, withMemory: true, cause: 'request' }),
  ]);
  await expect.poll(() => bench.roomFor, savedWithin).toEqual([]);
  expect(bench.driver.stateOf(resumed)).toBe('running');
});

// Another process may fill the disk meanwhile. If the sandbox ran, it could reach its deadline, although its tenant was
// told that it is paused.
it('a save that fails because the disk is full leaves the sandbox frozen, and is repeated when there is room', async () => {
  const { sandboxId } = (await bench.addRunning()).record;
  bench.driver.failNext('checkpoint', Object.assign(new Error('full'), { code: 'ENOSPC' }));
  await pauseSandbox(bench.context, sandboxId, pause);
  await expect.poll(() => bench.context.table.isBusy(sandboxId), savedWithin).toBe(false);
  const sandbox = bench.context.table.getTenants(sandboxId);
  expect([sandbox.record.state, bench.driver.stateOf(sandboxId), bench.roomFor]).toEqual(['pausing', 'frozen', []]);
  await retrySteps(bench.context, () => Promise.reject(new Error('it is lost')));
  expect(await bench.readRecord(sandboxId)).toMatchObject({ state: 'paused', saved: { hasMemory: true } });
});

it('without room the call fails, and the sandbox was never frozen', async () => {
  const { sandboxId } = (await bench.addRunning()).record;
  bench.noRoomFor = saving;
  await expect(pauseSandbox(bench.context, sandboxId, pause)).rejects.toMatchObject({ reason: 'disk_full' });
  expect(bench.driver.calls).not.toContain(`freeze ${sandboxId}`);
});
