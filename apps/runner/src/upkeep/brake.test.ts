import { afterEach, beforeEach, expect, test } from 'vitest';
import { createOperationBench } from '../testing/operation-bench.ts';
import type { OperationBench } from '../testing/operation-bench.ts';
import { endSandbox } from '../operations/end.ts';
import { recoverSandboxes } from './recover.ts';
import { createRouter } from '../serve/router.ts';
import { pauseSandbox } from '../operations/pause/pause.ts';
import type { RunningSandbox } from '../registry/table.ts';
import { thawWithRoom, stopForRoom } from './brake.ts';

let bench: OperationBench;
let sandbox: RunningSandbox;
let sandboxId: string;
beforeEach(async () => {
  bench = await createOperationBench();
  sandbox = await bench.addRunning();
  ({ sandboxId } = sandbox.record);
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
});

const told = (): (string | undefined)[] =>
  bench.events.map((event) => (event.kind === 'updated' ? event.record.cause : event.kind));
const isStopped = async (): Promise<unknown> => (await bench.readRecord(sandboxId))?.waitsForRoom;

test('a sandbox that is stopped stands still, its record and an event say why, and so does its log', async () => {
  await stopForRoom(bench.context, sandboxId);
  expect(bench.driver.stateOf(sandboxId)).toBe('frozen');
  expect(await bench.readRecord(sandboxId)).toMatchObject({
    state: 'running',
    cause: 'host_disk_full',
    waitsForRoom: true,
  });
  expect(told()).toEqual(['host_disk_full']);
  expect(bench.context.host.disks.figures()).toMatchObject({ disks: 1, stopped: 1 });
});

test('the gateway knows that nothing in it would answer', async () => {
  const router = createRouter(bench.context.table, bench.context.activity, async () => await Promise.resolve());
  expect(router.find(sandboxId)).toMatchObject({ state: 'running', waitsForRoom: false });
  await stopForRoom(bench.context, sandboxId);
  expect(router.find(sandboxId)).toMatchObject({ state: 'running', waitsForRoom: true });
  await thawWithRoom(bench.context, sandboxId);
  expect(router.find(sandboxId)).toMatchObject({ waitsForRoom: false });
});

test('it goes on, once, and that is told too', async () => {
  await stopForRoom(bench.context, sandboxId);
  await stopForRoom(bench.context, sandboxId);
  await thawWithRoom(bench.context, sandboxId);
  await thawWithRoom(bench.context, sandboxId);
  expect(bench.driver.stateOf(sandboxId)).toBe('running');
  expect(await bench.readRecord(sandboxId)).toMatchObject({ cause: 'host_disk_free', waitsForRoom: false });
  expect(told()).toEqual(['host_disk_full', 'host_disk_free']);
});

test('the record says so before it stands still: one that cannot be stopped is known as one that was to be', async () => {
  bench.driver.failNext('freeze', new Error('no'));
  await expect(stopForRoom(bench.context, sandboxId)).rejects.toThrow('no');
  expect(await isStopped()).toBe(true);
});

test('one that is busy with a step is left alone', async () => {
  const step = Promise.withResolvers<undefined>();
  const busy = bench.context.table.alone(sandboxId, async () => await step.promise);
  await stopForRoom(bench.context, sandboxId);
  expect(await isStopped()).toBe(false);
  step.resolve(undefined);
  await busy;
});

test('one that stands still can be killed', async () => {
  await stopForRoom(bench.context, sandboxId);
  expect(await endSandbox(bench.context, sandboxId, 'killed')).toBe(true);
  expect(bench.driver.stateOf(sandboxId)).toBe('none');
});

test('one that is paused meanwhile is like any other afterwards', async () => {
  await stopForRoom(bench.context, sandboxId);
  await pauseSandbox(bench.context, sandboxId, { keepMemory: true, durability: 'on-return', cause: 'request' });
  expect(await bench.readRecord(sandboxId)).toMatchObject({ state: 'paused', waitsForRoom: false });
});

test('the next server keeps it stopped, and lets it go on when there is room', async () => {
  await stopForRoom(bench.context, sandboxId);
  await bench.driver.thaw(sandbox.live.instance);
  bench.context.table.delete(sandboxId);
  bench.context.host.slots.release(sandbox.record.slot);
  await recoverSandboxes(bench.context, { put: () => undefined } as never);
  expect(bench.driver.stateOf(sandboxId)).toBe('frozen');
  expect(await isStopped()).toBe(true);
  await thawWithRoom(bench.context, sandboxId);
  expect(bench.driver.stateOf(sandboxId)).toBe('running');
});
