import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findProcess } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import type { RootLogger } from '@soulbox/base';
import { expect, test } from 'vitest';
import { loadPart, waitOf } from './keep-part.ts';
import { createChildLauncher } from './launch-child.ts';
import type { CrashPolicy, HangPolicy, LoadingPart } from './keep-part.ts';

const logger: RootLogger = Object.assign(Object.create(silentLogger) as typeof silentLogger, {
  droppedLines: () => 0,
  writeLine: () => undefined,
  reopen: () => undefined,
});
const policy: CrashPolicy = { windowMs: 60_000, promptRestarts: 1, firstWaitMs: 10, waitMaxMs: 50, crashesMax: 3 };
/** On a busy machine, a process that has just started may take a second to answer. */
const hangPolicy: HangPolicy = { askEveryMs: 100, unansweredMax: 20 };
const program = join(import.meta.dirname, 'testing/crashing-part.ts');

function load(
  settings: (start: number) => object,
): LoadingPart & { readonly pids: number[]; readonly gaveUp: Promise<Error> } {
  const pids: number[] = [];
  const givenUp = Promise.withResolvers<Error>();
  const part = loadPart({
    plan: { name: 'crashing', program, descriptors: [], environment: {} },
    launch: createChildLauncher(logger),
    settings: () => settings(pids.length),
    onProcess: async (pid) => {
      pids.push(pid);
      await Promise.resolve();
    },
    onGivenUp: givenUp.resolve,
    policy,
    hangPolicy,
    hasStandby: true,
    logger,
  });
  return { ...part, pids, gaveUp: givenUp.promise };
}
const stop = { keepSandboxes: false, timeoutMs: 5000 };

test('a part that ends by itself is restarted with newly requested settings', async () => {
  const loading = load((start) => (start === 1 ? { crashAfterMs: 300 } : {}));
  const part = await loading.start();
  expect(part.facts['pid']).toBe(loading.pids[0]);
  await expect.poll(() => loading.pids.length, { timeout: 10_000 }).toBe(2);
  await expect
    .poll(
      async () =>
        await part.tell('echo').then(
          () => true,
          () => false,
        ),
      { timeout: 10_000 },
    )
    .toBe(true);
  expect(part.pid()).toBe(loading.pids[1]);
  await part.stop(stop);
  expect(findProcess(loading.pids[1] ?? 0)).toBeUndefined();
  expect(loading.pids).toHaveLength(2);
});

test('a part that writes an endless message is killed and restarted', async () => {
  const loading = load((start) => (start === 1 ? { isEndless: true } : {}));
  const part = await loading.start();
  await expect.poll(() => loading.pids.length, { timeout: 10_000 }).toBe(2);
  expect(findProcess(loading.pids[0] ?? 0)).toBeUndefined();
  await part.stop(stop);
});

test('a part that hangs is killed and restarted; one that is busy for a moment is not', async () => {
  const loading = load((start) => ({ busyMs: start === 1 ? 60_000 : 150 }));
  const part = await loading.start();
  await expect.poll(() => part.restarts(), { timeout: 10_000 }).toBe(1);
  expect(findProcess(loading.pids[0] ?? 0)).toBeUndefined();
  await expect.poll(() => part.figures()).toEqual({ heapUsedBytes: 7, loopLag: { p50: 0, p99: 0, max: 0 } });
  await sleep(1000);
  expect(loading.pids).toHaveLength(2);
  await part.stop(stop);
});

/** The processes of the part that this process has started and that run, oldest first. */
const listProcesses = (): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && isChild(name))
    .map(Number);

function isChild(name: string): boolean {
  try {
    const [, parent] = (readFileSync(`/proc/${name}/stat`, 'latin1').split(') ')[1] ?? '').split(' ');
    return Number(parent) === process.pid && readFileSync(`/proc/${name}/cmdline`, 'latin1').includes(program);
  } catch {
    return false;
  }
}

test('the next process of a part that wants it is loaded before the part ends', async () => {
  const loading = load((start) => ({ wantsStandby: start <= 2 }));
  const part = await loading.start();
  const [first = 0] = loading.pids;
  await expect.poll(listProcesses, { timeout: 10_000 }).toHaveLength(2);
  const [second = 0] = listProcesses().filter((pid) => pid !== first);
  process.kill(first, 'SIGKILL');
  await expect.poll(() => part.restarts(), { timeout: 10_000 }).toBe(1);
  expect(part.pid()).toBe(second);
  expect(loading.pids).toEqual([first, second]);
  await expect.poll(listProcesses, { timeout: 10_000 }).toHaveLength(2);
  // One that has ended by itself is not given anything.
  const [third = 0] = listProcesses().filter((pid) => pid !== second);
  process.kill(third, 'SIGKILL');
  await expect.poll(() => findProcess(third)).toBeUndefined();
  await expect.poll(() => listProcesses().filter((pid) => pid !== second), { timeout: 10_000 }).toHaveLength(1);
  await part.stop(stop);
  await expect.poll(listProcesses).toEqual([]);
});

test('a part has no second process that it does not want, or not any more', async () => {
  const loading = load((start) => (start === 1 ? { wantsStandby: true } : { wantsStandby: false }));
  const part = await loading.start();
  await expect.poll(listProcesses, { timeout: 10_000 }).toHaveLength(2);
  process.kill(part.pid(), 'SIGKILL');
  await expect.poll(() => part.restarts(), { timeout: 10_000 }).toBe(1);
  await sleep(1500);
  expect(listProcesses()).toEqual([part.pid()]);
  await part.stop(stop);
});

test('a part reports that it cannot carry out an order', async () => {
  const part = await load(() => ({})).start();
  await expect(part.tell('echo', 'wrong')).rejects.toThrow();
  await part.tell('echo', 'right');
  await part.stop(stop);
});

test('a first start that fails gives the reason', async () => {
  const loading = load(() => ({ failure: 'there is no bread' }));
  await expect(loading.start()).rejects.toThrow('there is no bread');
  loading.kill();
});

test('a part that ends too often is given up', async () => {
  const loading = load(() => ({ crashAfterMs: 5 }));
  await loading.start();
  expect((await loading.gaveUp).message).toContain('The crashing ended 4 times');
  expect(loading.pids).toHaveLength(4);
});

test('restarts are immediate after the first crashes and wait longer after each later one', () => {
  expect([1, 2, 3, 4, 5].map((crashes) => waitOf(crashes, policy))).toEqual([0, 10, 20, 40, 50]);
});
