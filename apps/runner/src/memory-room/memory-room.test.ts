import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createMemoryRoom } from './memory-room.ts';
import type { MemoryNeed, MemoryRoom, MemoryRoomOptions } from './memory-room.ts';
import { readHostMemory } from './read-host-memory.ts';

const mib = 2 ** 20;
const saveMb = 1000;

let availableMb: number;
let stop: AbortController;
beforeEach(() => {
  // 1.5 saves above the reserve.
  availableMb = 256 + 1500;
  stop = new AbortController();
});
afterEach(() => stop.abort());

const openRoom = (more: Partial<MemoryRoomOptions> = {}): MemoryRoom =>
  createMemoryRoom({
    stopping: stop.signal,
    readMemory: () => ({ totalBytes: 4096 * mib, availableBytes: availableMb * mib }),
    maxWaitMs: 300,
    ...more,
  });
const save = (sandboxId = 's1', mb = saveMb): MemoryNeed => ({
  ...{ bytes: mb * mib, what: 'Saving the sandbox', reason: 'checkpoint_failed', sandboxId },
});

test('of three saves of which one fits, all succeed, one at a time and in order', async () => {
  const room = openRoom({ maxWaitMs: 10_000 });
  const order: number[] = [];
  let [now, most] = [0, 0];
  const saves = [1, 2, 3].map(async (number) => {
    using _hold = await room.admit(save());
    now += 1;
    most = Math.max(most, now);
    order.push(number);
    await delay(20);
    now -= 1;
  });
  await Promise.all(saves);
  expect([most, order]).toEqual([1, [1, 2, 3]]);
});

test('before a call waits, those who hold memory only to be faster give it back', async () => {
  const asked: number[] = [];
  const room = openRoom({
    maxWaitMs: 10_000,
    makeRoom: () => {
      asked.push(availableMb);
      availableMb += 1000;
    },
  });
  using _first = await room.admit(save());
  expect(asked).toEqual([]);
  using _second = await room.admit(save('s2'));
  expect(asked).toEqual([256 + 1500]);
});

test('two saves that fit together run at the same time', async () => {
  const room = openRoom();
  using _first = await room.admit(save('s1', 700));
  using _second = await room.admit(save('s2', 700));
});

test('a small call does not overtake a large one that waits', async () => {
  const room = openRoom({ maxWaitMs: 10_000 });
  const order: string[] = [];
  const first = await room.admit(save());
  const large = room.admit(save('large')).then((hold) => order.push('large') && hold);
  const small = room.admit(save('small', 1)).then((hold) => order.push('small') && hold);
  await delay(20);
  expect(order).toEqual([]);
  first[Symbol.dispose]();
  await Promise.all([large, small]);
  expect(order).toEqual(['large', 'small']);
});

test('a single call may use more than half of the memory, and the reserve', async () => {
  using _hold = await openRoom().admit(save('s1', availableMb - 1));
});

test('a single call that does not fit fails after the wait, with its reason and the figures', async () => {
  const startMs = performance.now();
  await expect(openRoom().admit(save('s1', availableMb + 1))).rejects.toMatchObject({
    reason: 'checkpoint_failed',
    message: expect.stringContaining(
      "Saving the sandbox needs 1757 MiB of the host's memory, but only 1756 MiB are available",
    ) as string,
  });
  expect(performance.now() - startMs).toBeLessThan(2000);
});

test('a call that waits in vain fails after the wait, and those behind it are admitted', async () => {
  const room = openRoom();
  using _first = await room.admit(save());
  const large = expect(room.admit(save('large'))).rejects.toMatchObject({ reason: 'checkpoint_failed' });
  await delay(150);
  const small = room.admit(save('small', 100));
  await large;
  using _small = await small;
});

test('memory that becomes free elsewhere admits a call that waits', async () => {
  const room = openRoom({ maxWaitMs: 10_000 });
  availableMb = 100;
  const waiting = room.admit(save());
  await delay(20);
  availableMb = 2000;
  using _hold = await waiting;
});

test('more than the host has fails at once', async () => {
  await expect(openRoom({ maxWaitMs: 60_000 }).admit(save('s1', 5000))).rejects.toMatchObject({
    reason: 'checkpoint_failed',
  });
});

test('an urgent call waits for nothing, and counts', async () => {
  const room = openRoom();
  using _first = await room.admit(save());
  const urgent = await room.admit({ ...save(), isUrgent: true });
  await expect(room.admit(save('s2', 100))).rejects.toMatchObject({ reason: 'checkpoint_failed' });
  urgent[Symbol.dispose]();
  using _third = await room.admit(save('s2', 100));
});

test('the end of a sandbox ends its waiting calls and refuses new ones, and no others', async () => {
  const room = openRoom({ maxWaitMs: 60_000 });
  using _first = await room.admit(save('other'));
  const waiting = room.admit(save('s1'));
  const other = room.admit(save('s2'));
  const given = { reason: 'checkpoint_failed', message: expect.stringContaining('is being ended') as string };
  const ended = expect(waiting).rejects.toMatchObject(given);
  const refusal = room.refuse('s1');
  await ended;
  await expect(room.admit(save('s1', 1))).rejects.toMatchObject(given);
  refusal[Symbol.dispose]();
  _first[Symbol.dispose]();
  using _other = await other;
  using _again = await room.admit(save('s1', 1));
});

test('a server that stops lets no call wait', async () => {
  const room = openRoom({ maxWaitMs: 60_000 });
  using _first = await room.admit(save());
  const waiting = expect(room.admit(save())).rejects.toMatchObject({ reason: 'shutting_down' });
  stop.abort();
  await waiting;
});

test("the kernel's figures can be read", () => {
  const { totalBytes, availableBytes } = readHostMemory();
  expect(availableBytes).toBeGreaterThan(0);
  expect(totalBytes).toBeGreaterThan(availableBytes);
});
