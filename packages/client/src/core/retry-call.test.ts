import { Code, ConnectError } from '@connectrpc/connect';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { CallError } from './call-error.ts';
import { AttemptFailed, failureFromResponse } from './failure.ts';
import { retryCall } from './retry-call.ts';
import { noRetries, parseRetryPolicy } from './retry-policy.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] }));
afterEach(() => void vi.useRealTimers());

const safe = { name: 'GET /x', isSafeToRepeat: true };
const unsafe = { name: 'POST /x', isSafeToRepeat: false };
const policy = parseRetryPolicy({ attempts: 4, initialDelayMs: 100, maxDelayMs: 1000, budgetMs: 5000 });
const random = () => 0.5;

const answered = (status: number, headers: Record<string, string> = {}) =>
  new AttemptFailed(failureFromResponse({ status, headers: new Headers(headers), message: `status ${status}` }));
const systemError = (code: string, syscall?: string) => Object.assign(new Error(code), { code, syscall });
const fetchFailed = (cause: Error) => new TypeError('fetch failed', { cause });

/** Fails with these in order, then succeeds. Notes when it was called. */
function failing(...errors: unknown[]) {
  const at: number[] = [];
  const call = async (): Promise<string> => {
    at.push(Date.now());
    const error = errors.shift();
    if (error !== undefined) throw error as Error;
    return await Promise.resolve('done');
  };
  return { at, call };
}

async function run(description: typeof safe, attempt: () => Promise<string>, options: object = {}): Promise<unknown> {
  const outcome = retryCall(description, attempt, { policy, random, ...options }).catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(100_000);
  return await outcome;
}

test('the waits are those of the policy, and events tell of them', async () => {
  const { at, call } = failing(answered(503), answered(502), systemError('ECONNRESET'));
  const onRetry = vi.fn();
  const start = Date.now();
  expect(await run(safe, call, { onRetry })).toBe('done');
  expect(at.map((time) => time - start)).toEqual([0, 50, 150, 350]);
  for (const [index, delayMs] of [50, 100, 200].entries())
    expect(onRetry).toHaveBeenNthCalledWith(index + 1, expect.objectContaining({ attempt: index + 1, delayMs }));
});

test('the last error is thrown in the one form', async () => {
  const errors = Array.from({ length: 4 }, () => answered(503, { 'x-request-id': 'abcd1234' }));
  const { at, call } = failing(...errors);
  const error = await run(safe, call);
  expect(error).toBeInstanceOf(CallError);
  expect(error).toMatchObject({ code: 'unavailable', reason: 'status_503', requestId: 'abcd1234', retryable: true });
  expect(at).toHaveLength(4);
});

// What a call that is not safe to repeat may have done decides.
test.each([
  ['a refused connection', fetchFailed(systemError('ECONNREFUSED', 'connect')), true],
  ['an unknown host', fetchFailed(systemError('ENOTFOUND', 'getaddrinfo')), true],
  ['an unreachable host', systemError('EHOSTUNREACH', 'connect'), true],
  [
    'a refused stream',
    new ConnectError('http/2 stream closed with error code REFUSED_STREAM (0x7)', Code.Unavailable),
    true,
  ],
  ['a status of 429 that names a wait', answered(429, { 'retry-after': '1' }), true],
  ['a status of 425', answered(425), true],
  ['a status of 429 without a wait, which is a quota', answered(429), false],
  ['a status of 502', answered(502), false],
  ['a status of 503', answered(503, { 'retry-after': '1' }), false],
  ['a status of 504', answered(504), false],
  ['a reset connection', fetchFailed(systemError('ECONNRESET', 'read')), false],
  ['a host that became unreachable', systemError('EHOSTUNREACH', 'write'), false],
  ['a cut response', new TypeError('terminated'), false],
  ['an error of fetch without a reason', new TypeError('Failed to fetch'), false],
  ['unavailable', new ConnectError('away', Code.Unavailable), false],
  [
    'another end of a stream',
    new ConnectError('http/2 stream closed with error code CANCEL (0x8)', Code.Canceled),
    false,
  ],
  ['a deadline', new ConnectError('late', Code.DeadlineExceeded), false],
] as const)('%s: a call that is not safe to repeat is made again: %s', async (_, error, isRepeated) => {
  const { at, call } = failing(error);
  const outcome = await run(unsafe, call);
  expect(at).toHaveLength(isRepeated ? 2 : 1);
  if (isRepeated) expect(outcome).toBe('done');
  else expect(outcome).toMatchObject({ retryable: false });
});

test.each([
  ['400', answered(400)],
  ['401', answered(401)],
  ['404', answered(404)],
  ['409', answered(409)],
  ['500', answered(500)],
  ['501', answered(501)],
  ['an invalid argument', new ConnectError('no', Code.InvalidArgument)],
  ['a defect', new RangeError('no')],
])('%s is never tried again', async (_, error) => {
  const { at, call } = failing(error);
  expect(await run(safe, call)).toMatchObject({ name: 'CallError', retryable: false });
  expect(at).toHaveLength(1);
});

test('a wait that the server asks for is kept, in seconds and as a date', async () => {
  const start = Date.now();
  const date = new Date(Math.ceil((start + 3000) / 1000) * 1000).toUTCString();
  const { at, call } = failing(answered(503, { 'retry-after': '1' }), answered(429, { 'retry-after': date }));
  expect(await run(safe, call, { policy: { ...policy, budgetMs: 20_000 } })).toBe('done');
  expect((at[1] ?? 0) - start).toBe(1050);
  expect(at[2]).toBeGreaterThanOrEqual(start + 3000);
});

test('a call fails at once if the server asks for a longer wait than is allowed', async () => {
  const { at, call } = failing(answered(503, { 'retry-after': '3600' }));
  expect(await run(safe, call)).toMatchObject({ retryable: true, retryAfterMs: 3_600_000 });
  expect(at).toHaveLength(1);
});

test('no attempt begins after the budget', async () => {
  const { at, call } = failing(...Array.from({ length: 4 }, () => answered(503, { 'retry-after': '2' })));
  const start = Date.now();
  await run(safe, call);
  expect(at.map((time) => time - start)).toEqual([0, 2050, 4150]);
});

test('a policy of one attempt repeats nothing', async () => {
  const { at, call } = failing(systemError('ECONNREFUSED', 'connect'));
  expect(await run(safe, call, { policy: noRetries })).toMatchObject({ reason: 'unreachable', retryable: true });
  expect(at).toHaveLength(1);
});

test('an abort ends a wait at once, and its reason is the cause', async () => {
  const abort = new AbortController();
  const { at, call } = failing(answered(503), answered(503));
  const slow = { policy: parseRetryPolicy({ initialDelayMs: 60_000, maxDelayMs: 60_000, budgetMs: 600_000 }) };
  const outcome = retryCall(safe, call, { ...slow, random, signal: abort.signal });
  const failed = expect(outcome).rejects.toMatchObject({ code: 'canceled', reason: 'aborted', cause: 'enough' });
  await vi.advanceTimersByTimeAsync(10);
  abort.abort('enough');
  await failed;
  expect(at).toHaveLength(1);
  expect(vi.getTimerCount()).toBe(0);
});

test('an aborted call is not begun', async () => {
  const { at, call } = failing();
  expect(await run(safe, call, { signal: AbortSignal.abort() })).toMatchObject({ reason: 'aborted' });
  expect(at).toEqual([]);
});

test('the message of a failed fetch is its reason', async () => {
  const error = new TypeError('fetch failed', { cause: new Error('bad port') });
  expect(await run(unsafe, failing(error).call)).toMatchObject({ code: 'unavailable', message: 'bad port' });
});

test('causes that form a circle are not followed for ever', async () => {
  const one = new Error('one');
  const two = new Error('two', { cause: one });
  one.cause = two;
  expect(await run(safe, failing(one).call)).toMatchObject({ code: 'unknown', message: 'one' });
});
