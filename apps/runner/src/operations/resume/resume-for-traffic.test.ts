import { afterEach, beforeEach, expect, it } from 'vitest';
import { plainLifecycle } from '../../registry/record.ts';
import { createOperationBench } from '../../testing/operation-bench.ts';
import type { OperationBench } from '../../testing/operation-bench.ts';
import { pauseSandbox } from '../pause/pause.ts';
import { resumeForTraffic } from './resume-for-traffic.ts';

let bench: OperationBench;
beforeEach(async () => {
  bench = await createOperationBench();
});
afterEach(() => bench[Symbol.asyncDispose]());

it.each([
  [10, 300],
  [299, 300],
  [300, 300],
  [1000, 1000],
])('a sandbox with a timeout of %i s runs for %i s from the request on', async (asked, given) => {
  const lifecycle = { ...plainLifecycle, timeoutSeconds: asked };
  const { record } = await bench.addRunning({ lifecycle, endAtMs: bench.nowMs + asked * 1000 });
  const { sandboxId } = record;
  const pause = { keepMemory: true, durability: 'on-return', cause: 'request' } as const;
  await pauseSandbox(bench.context, sandboxId, pause);
  bench.nowMs += 3_600_000;
  await resumeForTraffic(bench.context, sandboxId);
  const resumed = bench.context.table.getRunning(sandboxId).record;
  expect(resumed.tenant.endAtMs).toBe(bench.nowMs + given * 1000);
  expect([resumed.cause, bench.driver.stateOf(sandboxId)]).toEqual(['traffic', 'running']);
});

it('a running sandbox keeps a later deadline', async () => {
  const endAtMs = bench.nowMs + 3_600_000;
  const { record } = await bench.addRunning({ endAtMs });
  await resumeForTraffic(bench.context, record.sandboxId);
  expect(bench.context.table.getRunning(record.sandboxId).record.tenant.endAtMs).toBe(endAtMs);
});

it.each([
  ['team', ''],
  ['team', 'key'],
])('a sandbox of a held team or key is not resumed, and one that runs goes on (%s, %s)', async (teamId, keyId) => {
  const [paused, running] = [await bench.addRunning({ keyId: 'key' }), await bench.addRunning({ keyId: 'key' })];
  const { sandboxId } = paused.record;
  await pauseSandbox(bench.context, sandboxId, { keepMemory: true, durability: 'on-return', cause: 'budget' });
  bench.context.holds.set([{ teamId, keyId, message: 'The budget is used up.' }]);
  await expect(resumeForTraffic(bench.context, sandboxId)).rejects.toMatchObject({ reason: 'budget_spent' });
  expect(bench.context.table.getTenants(sandboxId).record.state).toBe('paused');
  await resumeForTraffic(bench.context, running.record.sandboxId);
  bench.context.holds.set([
    { teamId: 'others', keyId: '', message: '' },
    { teamId, keyId: 'other', message: '' },
  ]);
  await resumeForTraffic(bench.context, sandboxId);
  expect(bench.context.table.getRunning(sandboxId).record.state).toBe('running');
});
