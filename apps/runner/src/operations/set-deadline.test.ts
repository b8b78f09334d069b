import { afterEach, beforeEach, expect, it } from 'vitest';
import { setDeadline } from './set-deadline.ts';
import { createOperationBench } from '../testing/operation-bench.ts';
import type { OperationBench } from '../testing/operation-bench.ts';

let bench: OperationBench;
let sandboxId: string;
let endAtMs: number;
beforeEach(async () => {
  bench = await createOperationBench();
  const { record } = await bench.addRunning();
  sandboxId = record.sandboxId;
  endAtMs = record.tenant.endAtMs;
});
afterEach(() => bench[Symbol.asyncDispose]());

async function deadlines(): Promise<unknown[]> {
  const inMemory = bench.context.table.getRunning(sandboxId).record.tenant.endAtMs;
  return [inMemory, (await bench.readRecord(sandboxId))?.tenant?.endAtMs];
}

it.each([-10_000, 10_000])('moves it by %i ms, in memory and on the disk, and notifies watchers', async (by) => {
  const { record } = await setDeadline(bench.context, sandboxId, endAtMs + by, false);
  expect(record.tenant.endAtMs).toBe(endAtMs + by);
  expect(await deadlines()).toEqual([endAtMs + by, endAtMs + by]);
  expect(bench.events).toHaveLength(1);
});

it('only extends if that is requested', async () => {
  await setDeadline(bench.context, sandboxId, endAtMs - 1, true);
  await setDeadline(bench.context, sandboxId, endAtMs, true);
  expect(await deadlines()).toEqual([endAtMs, endAtMs]);
  expect(bench.events).toHaveLength(0);
  await setDeadline(bench.context, sandboxId, endAtMs + 1, true);
  expect(await deadlines()).toEqual([endAtMs + 1, endAtMs + 1]);
});

it.each([true, false])('does not change it without a time (only to extend: %s)', async (onlyExtend) => {
  await setDeadline(bench.context, sandboxId, undefined, onlyExtend);
  expect(await deadlines()).toEqual([endAtMs, endAtMs]);
});

it('waits for the current step of the sandbox', async () => {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const step = bench.context.table.alone(sandboxId, async () => await promise);
  const moved = setDeadline(bench.context, sandboxId, endAtMs + 5, false);
  await Promise.resolve(undefined);
  expect(bench.context.table.getRunning(sandboxId).record.tenant.endAtMs).toBe(endAtMs);
  resolve(undefined);
  await Promise.all([step, moved]);
  expect(await deadlines()).toEqual([endAtMs + 5, endAtMs + 5]);
});

it('refuses a sandbox without a tenant', async () => {
  await expect(setDeadline(bench.context, 'inone', endAtMs, false)).rejects.toMatchObject({
    reason: 'sandbox_not_found',
  });
});
