import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { badGateway, startFaultProxy } from '@soulbox/testing/fault-proxy';
import type { FaultProxy } from '@soulbox/testing/fault-proxy';
import type { ClientEvent } from './events.ts';
import { createEvents } from './events.ts';
import { createHttpCalls } from './http-calls.ts';
import type { HttpCalls } from './http-calls.ts';
import { createSlots } from './slots.ts';
import type { Slots } from './slots.ts';
import { createTarget } from './target.ts';

let stack: AsyncDisposableStack;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let seen: string[];
let proxy: FaultProxy;
let calls: HttpCalls;
let slots: Slots;
let events: ClientEvent[];
let url: string;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  seen = [];
  events = [];
  answer = (_request, response) => response.end('fine');
  const server = createServer((request, response) => {
    seen.push(`${request.method ?? ''} ${request.url ?? ''}`);
    request.resume().on('error', () => undefined);
    response.on('error', () => undefined);
    answer(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  proxy = stack.use(await startFaultProxy((server.address() as AddressInfo).port));
  url = `http://127.0.0.1:${proxy.port}`;
  const own = createEvents();
  own.on((event) => events.push(event));
  const retry = { attempts: 4, initialDelayMs: 5, maxDelayMs: 20, budgetMs: 5000 };
  const target = createTarget({ name: url, retry, attemptTimeoutMs: 200, breaker: { failures: 6 }, events: own });
  slots = createSlots(url, 2, { waitingMax: 10, waitMs: 100 });
  calls = createHttpCalls({ target, slots, readError: (status, text) => ({ message: text || `status ${status}` }) });
});
afterEach(async () => await stack.disposeAsync());

const get = { method: 'GET' };
const retryOnce = { attempts: 1, initialDelayMs: 1, maxDelayMs: 1, budgetMs: 1, retryAfterMaxMs: 0 };
const faults = {
  'cuts before the answer': { kind: 'cut', afterBytes: 0, reset: true },
  'cuts in the answer': { kind: 'cut', afterBytes: 60, reset: true },
  'closes in the answer': { kind: 'cut', afterBytes: 100 },
  'half-closes before the answer': { kind: 'half-close', afterBytes: 0 },
  'half-closes in the answer': { kind: 'half-close', afterBytes: 100 },
  'stalls in the answer': { kind: 'stall', afterBytes: 60 },
  'accepts and never answers': { kind: 'silence' },
  'answers 502': { kind: 'answer', text: badGateway },
} as const;

test.each(Object.keys(faults) as (keyof typeof faults)[])(
  'a network that %s: GET is repeated until it succeeds',
  async (fault) => {
    answer = (_request, response) => response.end('x'.repeat(1000));
    proxy.setFault(() => (events.length < 2 ? faults[fault] : { kind: 'none' }));
    expect((await calls.call({ ...get, url })).text).toBe('x'.repeat(1000));
    expect(events.map(({ type }) => type)).toEqual(['retry', 'retry']);
    expect(slots.used).toBe(0);
  },
);

test.each(Object.keys(faults) as (keyof typeof faults)[])('a network that %s: POST is not repeated', async (fault) => {
  answer = (_request, response) => response.end('x'.repeat(1000));
  proxy.setFault(faults[fault]);
  await expect(calls.call({ method: 'POST', url, body: '{}' })).rejects.toMatchObject({
    name: 'CallError',
    retryable: false,
  });
  expect(proxy.accepted).toBe(1);
  expect(slots.used).toBe(0);
});

test('POST with an idempotency key is repeated', async () => {
  proxy.setFault((n) => (n === 0 ? faults['cuts before the answer'] : { kind: 'none' }));
  expect((await calls.call({ method: 'POST', url, body: '{}', idempotencyKey: 'k' })).status).toBe(200);
});

test('a network that is slow, and one that replays, change nothing', async () => {
  proxy.setFault({ kind: 'delay', ms: 30 });
  expect((await calls.call({ ...get, url })).text).toBe('fine');
  proxy.setFault({ kind: 'replay' });
  await expect.poll(async () => (await calls.call({ ...get, url: `${url}/again` })).text).toBe('fine');
  expect(events).toEqual([]);
});

test('a server that is away is not called for a while, and the last error says so', async () => {
  await proxy[Symbol.asyncDispose]();
  const fail = async () =>
    await calls.call({ method: 'POST', url, body: '', retry: retryOnce }).catch((error: unknown) => error);
  for (let n = 0; n < 6; n++)
    expect(await fail()).toMatchObject({ reason: 'unreachable', code: 'unavailable', retryable: true });
  expect(await fail()).toMatchObject({ reason: 'circuit_open', retryable: true });
  expect(events.filter(({ type }) => type === 'breaker')).toEqual([{ target: url, type: 'breaker', state: 'open' }]);
});

test('an error response keeps its status, message and request id', async () => {
  answer = (_request, response) => response.writeHead(404, { 'x-request-id': 'abcd1234' }).end('no such thing');
  await expect(calls.call({ ...get, url })).rejects.toMatchObject({
    ...{ status: 404, code: 'not_found', message: 'no such thing', requestId: 'abcd1234', retryable: false },
  });
  expect(seen).toHaveLength(1);
});

test('a response is read up to its limit only', async () => {
  answer = (_request, response) => {
    const more = (): void => {
      while (!response.destroyed && response.write('x'.repeat(65_536)));
    };
    response.on('drain', more);
    more();
  };
  await expect(calls.call({ ...get, url, maxAnswerBytes: 100_000 })).rejects.toMatchObject({
    reason: 'invalid_response',
  });
  answer = (_request, response) => response.writeHead(400).end('x'.repeat(1_000_000));
  const error = await calls.call({ ...get, url }).catch((thrown: unknown) => thrown as Error);
  expect((error as Error).message).toHaveLength(65_536);
});

test('an unread response holds its slot until it is read or canceled, and others wait', async () => {
  const first = await calls.open({ ...get, url });
  const second = await calls.open({ ...get, url });
  await expect(calls.call({ ...get, url, retry: retryOnce })).rejects.toMatchObject({ reason: 'pool_timeout' });
  const waits = calls.call({ ...get, url });
  expect(await first.text()).toBe('fine');
  expect((await waits).text).toBe('fine');
  await second.body?.cancel();
  expect(slots.used).toBe(0);
});

test('the time of an attempt is that of the response, and not of its body', async () => {
  answer = (_request, response) => {
    response.write('slow ');
    setTimeout(() => response.end('body'), 400);
  };
  expect(await (await calls.open({ ...get, url })).text()).toBe('slow body');
});

test('an abort ends a call at once', async () => {
  proxy.setFault({ kind: 'silence' });
  const abort = new AbortController();
  setTimeout(() => abort.abort(), 30);
  await expect(calls.call({ ...get, url, signal: abort.signal })).rejects.toMatchObject({ reason: 'aborted' });
  expect(events).toEqual([]);
  expect(slots.used).toBe(0);
});
