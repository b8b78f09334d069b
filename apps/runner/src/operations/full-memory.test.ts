import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createOperationBench } from '../testing/operation-bench.ts';
import type { OperationBench } from '../testing/operation-bench.ts';
import { forkSandbox } from './copies/fork.ts';
import { endSandbox } from './end.ts';
import { pauseSandbox } from './pause/pause.ts';
import { resumeSandbox } from './resume/resume.ts';

let bench: OperationBench;
beforeEach(async () => {
  bench = await createOperationBench({ pauseGraceSeconds: 0 });
});
afterEach(() => bench[Symbol.asyncDispose]());

const pause = { keepMemory: true, durability: 'on-return', cause: 'request' } as const;
const resume = { timeoutSeconds: 60, withMemory: true, cause: 'request' } as const;
const stateOf = (sandboxId: string): string => bench.context.table.getTenants(sandboxId).record.state;

it('a pause without memory of the host fails, says why, and the sandbox was not even frozen', async () => {
  const { sandboxId } = (await bench.addRunning()).record;
  bench.availableBytes = 0;
  await expect(pauseSandbox(bench.context, sandboxId, pause)).rejects.toMatchObject({
    reason: 'checkpoint_failed',
    message: expect.stringContaining("of the host's memory") as string,
  });
  expect([stateOf(sandboxId), bench.driver.stateOf(sandboxId)]).toEqual(['running', 'running']);
  bench.availableBytes = 2 ** 40;
  await pauseSandbox(bench.context, sandboxId, pause);
});

it('a pause of the files only needs no memory of the host', async () => {
  const { sandboxId } = (await bench.addRunning()).record;
  bench.availableBytes = 0;
  await pauseSandbox(bench.context, sandboxId, { ...pause, keepMemory: false });
});

it('a resume without memory of the host fails, and the sandbox stays paused and can be resumed later', async () => {
  const { sandboxId } = (await bench.addRunning()).record;
  await pauseSandbox(bench.context, sandboxId, pause);
  bench.availableBytes = 0;
  await expect(resumeSandbox(bench.context, sandboxId, resume)).rejects.toMatchObject({
    reason: 'sandbox_resume_failed',
    message: expect.stringContaining("of the host's memory") as string,
  });
  expect(stateOf(sandboxId)).toBe('paused');
  bench.availableBytes = 2 ** 40;
  await resumeSandbox(bench.context, sandboxId, resume);
  expect(stateOf(sandboxId)).toBe('running');
});

it('a fork without memory of the host fails, and the source runs on', async () => {
  const { sandboxId } = (await bench.addRunning()).record;
  bench.availableBytes = 0;
  const request = { source: { sandboxId }, count: 1, timeoutSeconds: 60, teamId: 't', keyId: '', creationId: '' };
  await expect(forkSandbox(bench.context, { ...request, secure: true })).rejects.toMatchObject({
    reason: 'checkpoint_failed',
  });
  expect(stateOf(sandboxId)).toBe('running');
});

it('a kill does not wait for a pause that waits for memory of the host', async () => {
  const { sandboxId } = (await bench.addRunning()).record;
  bench.availableBytes = 0;
  const paused = expect(pauseSandbox(bench.context, sandboxId, pause)).rejects.toMatchObject({
    reason: 'checkpoint_failed',
    message: expect.stringContaining('is being ended') as string,
  });
  await delay(50);
  const startMs = performance.now();
  expect(await endSandbox(bench.context, sandboxId, 'killed')).toBe(true);
  expect(performance.now() - startMs).toBeLessThan(1000);
  await paused;
});
