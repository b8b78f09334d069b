import { Code, ConnectError } from '@connectrpc/connect';
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
  const breaker = createBreaker('x', settings);
  const onState = (state: string): void => void states.push(state);
  breaker.admit(onState).fail();
  breaker.admit(onState).fail();
  breaker.admit(onState).succeed();
  for (let n = 0; n < 3; n++) breaker.admit(onState).fail();
  expect(() => breaker.admit(onState)).toThrow(expect.objectContaining({ ...open, retryAfterMs: 1000 }));
  await vi.advanceTimersByTimeAsync(1000);
  const probe = breaker.admit(onState);
  expect(() => breaker.admit(onState)).toThrow(expect.objectContaining(open));
  probe.succeed();
  breaker.admit(onState).succeed();
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

test('a probe that takes longer than the open time gets company', async () => {
  const breaker = createBreaker('x', settings);
  for (let n = 0; n < 3; n++) breaker.admit().fail();
  await vi.advanceTimersByTimeAsync(1000);
  breaker.admit();
  await vi.advanceTimersByTimeAsync(999);
  expect(() => breaker.admit()).toThrow(expect.objectContaining(open));
  await vi.advanceTimersByTimeAsync(1);
  breaker.admit().succeed();
  expect(breaker.state).toBe('closed');
});

test('of a long call, lateness is no outage', async () => {
  const target = createTarget({ name: 'x', breaker: settings, retry: { attempts: 1 }, attemptTimeoutMs: 100 });
  const call = async (isLong: boolean): Promise<void> => {
    const late = target.call({ name: 'c', isSafeToRepeat: true }, waitForAbort, { isLong }).catch(() => undefined);
    await vi.advanceTimersByTimeAsync(100);
    await late;
  };
  for (let n = 0; n < 5; n++) await call(true);
  expect(target.breaker?.state).toBe('closed');
  for (let n = 0; n < 3; n++) await call(false);
  expect(target.breaker?.state).toBe('open');
});

async function waitForAbort(signal: AbortSignal | undefined): Promise<never> {
  return await new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason as Error));
  });
}

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
  // A sandbox that is paused, gone or broken is no outage of the gateway in front of it.
  const headers = new Headers({ 'x-soulbox-reason': 'sandbox_unreachable' });
  for (const status of [502, 503, 504])
    await fail(new AttemptFailed(failureFromResponse({ status, headers, message: '' })));
  for (let n = 0; n < 5; n++) await fail(new ConnectError('away', Code.Unavailable, headers));
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
