import { readPhaseFigures, wholeOperation } from '@soulbox/base';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createOperationBench } from '../testing/operation-bench.ts';
import type { OperationBench } from '../testing/operation-bench.ts';
import { forkSandbox } from './copies/fork.ts';
import { makeSnapshot } from './copies/snapshot.ts';
import { endSandbox } from './end.ts';
import { pauseSandbox } from './pause/pause.ts';
import { resumeSandbox } from './resume/resume.ts';

let bench: OperationBench;
let sandboxId: string;
let logged: ReturnType<typeof vi.fn>;
beforeEach(async () => {
  bench = await createOperationBench();
  sandboxId = (await bench.addRunning()).record.sandboxId;
  logged = vi.fn();
  Object.assign(bench.context.host, { logger: { ...bench.context.host.logger, info: logged } });
});
afterEach(() => bench[Symbol.asyncDispose]());

const pause = { keepMemory: true, durability: 'on-return', cause: 'request' } as const;
const resume = { timeoutSeconds: 60, withMemory: true, cause: 'request' } as const;
const fork = { count: 2, timeoutSeconds: 60, teamId: 't', keyId: '', creationId: '', secure: false };

/** The phases in the one line of the log with this message. */
function phasesOf(message: string): string[] {
  const lines = logged.mock.calls.filter(([, text]) => text === message);
  expect(lines).toHaveLength(1);
  const { phases, durationMs } = lines[0]?.[0] as { phases: Record<string, number>; durationMs: number };
  const sum = Object.values(phases).reduce((total, ms) => total + ms, 0);
  // Each is rounded to a tenth, the whole to one.
  expect(sum).toBeLessThanOrEqual(durationMs + 2);
  return Object.keys(phases).toSorted();
}

test('a pause and a resume log the duration of their phases', async () => {
  await pauseSandbox(bench.context, sandboxId, pause);
  expect(phasesOf('sandbox paused')).toEqual(['digest', 'end', 'freeze', 'record', 'save', 'seal']);
  await resumeSandbox(bench.context, sandboxId, resume);
  expect(phasesOf('sandbox resumed')).toEqual(['check', 'confirm', 'disk', 'network', 'record', 'restore']);
});

test('an end logs the duration of its phases', async () => {
  await endSandbox(bench.context, sandboxId, 'killed');
  expect(phasesOf('sandbox ended')).toEqual(['cut', 'record', 'remove']);
});

test('a pause in the background logs the phases of what follows its answer', async () => {
  await pauseSandbox(bench.context, sandboxId, { ...pause, durability: 'in-background' });
  await expect
    .poll(() => logged.mock.calls.map(([, text]) => text as string), { timeout: 10_000 })
    .toContain('paused sandbox saved in the background');
  expect(phasesOf('paused sandbox saved in the background')).toEqual(['save', 'seal']);
});

test('a snapshot and a fork log the duration of their phases', async () => {
  await makeSnapshot(bench.context, sandboxId, 'kept');
  expect(phasesOf('snapshot made')).toEqual(expect.arrayContaining(['freeze', 'record', 'save', 'seal', 'thaw']));
  await forkSandbox(bench.context, { ...fork, source: { sandboxId } });
  const phases = phasesOf('copies made');
  expect(phases).toEqual(expect.arrayContaining(['copies', 'freeze', 'save', 'seal', 'thaw']));
  // The phases of each copy are in a line of their own.
  expect(phases).not.toContain('restore');
});

test('the metrics count the phases, and the total once for each operation', async () => {
  const countOf = (operation: string, phase: string): number =>
    readPhaseFigures().find((one) => one.operation === operation && one.phase === phase)?.total ?? 0;
  const before = countOf('copy', 'restore');
  const wholes = countOf('fork', wholeOperation);
  await forkSandbox(bench.context, { ...fork, source: { sandboxId } });
  expect(countOf('copy', 'restore') - before).toBe(2);
  expect(countOf('fork', wholeOperation) - wholes).toBe(1);
});

test('an operation that fails is not counted', async () => {
  const wholes = (): number =>
    readPhaseFigures().find((one) => one.operation === 'pause' && one.phase === wholeOperation)?.total ?? 0;
  const before = wholes();
  bench.driver.failNext('checkpoint', new Error('no memory'));
  await expect(pauseSandbox(bench.context, sandboxId, pause)).rejects.toMatchObject({ reason: 'checkpoint_failed' });
  expect(wholes()).toBe(before);
});
