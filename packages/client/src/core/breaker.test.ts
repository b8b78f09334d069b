import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createBreaker } from './breaker.ts';
import { createEvents } from './events.ts';
import type { ClientEvent } from './events.ts';
import { AttemptFailed, failureFromResponse } from './failure.ts';
import { createTarget } from './target.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] }));
afterEach(() => void vi.useRealTimers());

const settings = { failures: 3, openMs: 1000, openMaxMs: 3000 };
const open = { reason: 'circuit_open', code: 'unavailable', retryable: true };

test('failures in a row open it, one probe at a time is let through, and a success closes it', async () => {
  const states: string[] = [];
  const breaker = createBreaker('x', settings, (state) => states.push(state));
  breaker.admit().fail();
  breaker.admit().fail();
  breaker.admit().succeed();
  for (let n = 0; n < 3; n++) breaker.admit().fail();
  expect(() => breaker.admit()).toThrow(expect.objectContaining({ ...open, retryAfterMs: 1000 }));
  await vi.advanceTimersByTimeAsync(1000);
  const probe = breaker.admit();
  expect(() => breaker.admit()).toThrow(expect.objectContaining(open));
  probe.succeed();
  breaker.admit().succeed();
  expect(states).toEqual(['open', 'half-open', 'closed']);
});

test('a failed probe opens it for twice as long, up to a limit', async () => {
  const breaker = createBreaker('x', settings);
  for (let n = 0; n < 3; n++) breaker.admit().fail();
  for (const ms of [1000, 2000, 3000, 3000]) {
    await vi.advanceTimersByTimeAsync(ms - 1);
    expect(() => breaker.admit()).toThrow();
    await vi.advanceTimersByTimeAsync(1);
    breaker.admit().fail();
    expect(breaker.state).toBe('open');
  }
});

test('a probe that tells nothing lets the next one through', async () => {
  const breaker = createBreaker('x', settings);
  for (let n = 0; n < 3; n++) breaker.admit().fail();
  await vi.advanceTimersByTimeAsync(1000);
  breaker.admit().cancel();
  breaker.admit().succeed();
  expect(breaker.state).toBe('closed');
});

test('calls from before a change do not count after it', async () => {
  const breaker = createBreaker('x', settings);
  const old = Array.from({ length: 10 }, () => breaker.admit());
  for (const permit of old.slice(0, 3)) permit.fail();
  await vi.advanceTimersByTimeAsync(1000);
  const probe = breaker.admit();
  for (const permit of old.slice(3)) permit.fail();
  expect(breaker.state).toBe('half-open');
  old[9]?.succeed();
  expect(breaker.state).toBe('half-open');
  probe.succeed();
  expect(breaker.state).toBe('closed');
});

test('of a target: outages count, its own errors and aborts do not', async () => {
  const events = createEvents();
  const seen: ClientEvent[] = [];
  events.on((event) => seen.push(event));
  const target = createTarget({ name: 'x', breaker: settings, retry: { attempts: 1 }, events });
  const fail = async (error: unknown): Promise<void> => {
    await target.call({ name: 'c', isSafeToRepeat: true }, () => Promise.reject(error as Error)).catch(() => undefined);
  };
  const answered = (status: number) =>
    new AttemptFailed(failureFromResponse({ status, headers: new Headers(), message: '' }));
  for (const status of [404, 429, 500, 400, 409]) await fail(answered(status));
  for (let n = 0; n < 5; n++) await fail(new DOMException('', 'AbortError'));
  expect(seen).toEqual([]);
  for (const status of [502, 503, 504]) await fail(answered(status));
  expect(seen).toEqual([{ target: 'x', type: 'breaker', state: 'open' }]);
});

test('a call waits out an open breaker if its policy allows', async () => {
  const target = createTarget({ name: 'x', breaker: settings, retry: { attempts: 6, maxDelayMs: 2000 } });
  let calls = 0;
  const outcome = target.call({ name: 'c', isSafeToRepeat: true }, async () => {
    calls += 1;
    if (calls <= 3) throw Object.assign(new Error('reset'), { code: 'ECONNRESET' });
    return await Promise.resolve('back');
  });
  await vi.advanceTimersByTimeAsync(30_000);
  expect(await outcome).toBe('back');
  expect(calls).toBe(4);
});

test('a listener that throws fails no call, and is reported', async () => {
  const events = createEvents();
  const later: (() => void)[] = [];
  vi.spyOn(globalThis, 'queueMicrotask').mockImplementation((run) => void later.push(run));
  const remove = events.on(() => {
    throw new Error('bad listener');
  });
  events.emit({ target: 'x', type: 'breaker', state: 'open' });
  remove();
  events.emit({ target: 'x', type: 'breaker', state: 'open' });
  vi.restoreAllMocks();
  expect(later).toHaveLength(1);
  expect(later[0]).toThrow('bad listener');
  await Promise.resolve();
});
