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

test('a stopped sandbox is frozen, and its record, its log and an event give the reason', async () => {
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

test('the gateway knows that a stopped sandbox cannot answer', async () => {
  const router = createRouter(bench.context.table, bench.context.activity, async () => await Promise.resolve());
  expect(router.find(sandboxId)).toMatchObject({ state: 'running', waitsForRoom: false });
  await stopForRoom(bench.context, sandboxId);
  expect(router.find(sandboxId)).toMatchObject({ state: 'running', waitsForRoom: true });
  await thawWithRoom(bench.context, sandboxId);
  expect(router.find(sandboxId)).toMatchObject({ waitsForRoom: false });
});

test('a stopped sandbox is thawed once, and that is announced, too', async () => {
  await stopForRoom(bench.context, sandboxId);
  await stopForRoom(bench.context, sandboxId);
  await thawWithRoom(bench.context, sandboxId);
  await thawWithRoom(bench.context, sandboxId);
  expect(bench.driver.stateOf(sandboxId)).toBe('running');
  expect(await bench.readRecord(sandboxId)).toMatchObject({ cause: 'host_disk_free', waitsForRoom: false });
  expect(told()).toEqual(['host_disk_full', 'host_disk_free']);
});

test('the record is written before the freeze, so a sandbox that cannot be frozen is recorded as stopped', async () => {
  bench.driver.failNext('freeze', new Error('no'));
  await expect(stopForRoom(bench.context, sandboxId)).rejects.toThrow('no');
  expect(await isStopped()).toBe(true);
});

test('a sandbox that is busy with a step is not stopped', async () => {
  const step = Promise.withResolvers<undefined>();
  const busy = bench.context.table.alone(sandboxId, async () => await step.promise);
  await stopForRoom(bench.context, sandboxId);
  expect(await isStopped()).toBe(false);
  step.resolve(undefined);
  await busy;
});

test('a stopped sandbox can be killed', async () => {
  await stopForRoom(bench.context, sandboxId);
  expect(await endSandbox(bench.context, sandboxId, 'killed')).toBe(true);
  expect(bench.driver.stateOf(sandboxId)).toBe('none');
});

test('a stopped sandbox that is paused is not stopped any more afterwards', async () => {
  await stopForRoom(bench.context, sandboxId);
  await pauseSandbox(bench.context, sandboxId, { keepMemory: true, durability: 'on-return', cause: 'request' });
  expect(await bench.readRecord(sandboxId)).toMatchObject({ state: 'paused', waitsForRoom: false });
});

test('the next server keeps the sandbox stopped, and thaws it when there is room', async () => {
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
