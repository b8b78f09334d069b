import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createOutputHub } from './output-hub.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const never = new AbortController().signal;

function createHub() {
  return createOutputHub<string>({ highWaterBytes: 10, stallMs: 1000, stalled: () => new Error('stalled') });
}

/** Whether a promise is settled after all pending tasks have run. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(
    () => (settled = true),
    () => (settled = true),
  );
  await vi.advanceTimersByTimeAsync(0);
  return settled;
}

test('without a listener there is always room, and events are discarded', async () => {
  const hub = createHub();
  hub.publish('lost', 1000);
  expect(await isSettled(hub.ready())).toBe(true);
  const events = hub.subscribe(never);
  hub.publish('seen', 1);
  hub.end();
  expect(await Array.fromAsync(events)).toEqual(['seen']);
});

test('every listener receives the events published after its subscription, in order', async () => {
  const hub = createHub();
  const early = hub.subscribe(never);
  hub.publish('a', 1);
  const late = hub.subscribe(never);
  hub.publish('b', 1);
  hub.end();
  expect(await Array.fromAsync(early)).toEqual(['a', 'b']);
  expect(await Array.fromAsync(late)).toEqual(['b']);
});

test('a full listener makes the process wait until it has read enough', async () => {
  const hub = createHub();
  const events = hub.subscribe(never);
  hub.publish('a', 6);
  expect(await isSettled(hub.ready())).toBe(true);
  hub.publish('b', 6);
  const ready = hub.ready();
  expect(await isSettled(ready)).toBe(false);
  await events.next();
  expect(await isSettled(ready)).toBe(true);
});

test('standard output and errors both continue when there is room again', async () => {
  const hub = createHub();
  const events = hub.subscribe(never);
  hub.publish('a', 12);
  const waits = [hub.ready(), hub.ready()];
  await events.next();
  for (const wait of waits) expect(await isSettled(wait)).toBe(true);
});

test('the slowest listener determines the speed', async () => {
  const hub = createHub();
  const fast = hub.subscribe(never);
  hub.subscribe(never);
  hub.publish('a', 20);
  await fast.next();
  expect(await isSettled(hub.ready())).toBe(false);
});

test('a listener that reads nothing is dropped with an error, and the process continues', async () => {
  const hub = createHub();
  const stuck = hub.subscribe(never);
  hub.publish('a', 20);
  const ready = hub.ready();
  await vi.advanceTimersByTimeAsync(1001);
  expect(await isSettled(ready)).toBe(true);
  await expect(stuck.next()).rejects.toThrow('stalled');
});

test('a listener that reads a little is not dropped', async () => {
  const hub = createHub();
  const slow = hub.subscribe(never);
  for (const event of ['a', 'b', 'c']) hub.publish(event, 20);
  const ready = hub.ready();
  await vi.advanceTimersByTimeAsync(900);
  expect((await slow.next()).value).toBe('a');
  await vi.advanceTimersByTimeAsync(200);
  expect(await isSettled(ready)).toBe(false);
  expect((await slow.next()).value).toBe('b');
});

test('a listener whose call ends makes room at once', async () => {
  const hub = createHub();
  const abort = new AbortController();
  const events = hub.subscribe(abort.signal);
  hub.publish('a', 20);
  const ready = hub.ready();
  abort.abort();
  expect(await isSettled(ready)).toBe(true);
  hub.publish('b', 1);
  expect(await Array.fromAsync(events)).toEqual(['a']);
});

test('a subscription to an ended hub is empty', async () => {
  const hub = createHub();
  const onEnd = vi.fn();
  hub.onEnd(onEnd);
  hub.end();
  expect(onEnd).toHaveBeenCalledOnce();
  expect(await Array.fromAsync(hub.subscribe(never))).toEqual([]);
});
