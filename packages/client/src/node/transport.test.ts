/** @module-tag violation */
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { Agent, createServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import type { ServerHttp2Session } from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import { MethodOptions_IdempotencyLevel } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import type { Client, ConnectRouter, Transport } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { afterEach, describe, expect, test } from 'vitest';
import { Process } from '@soulbox/contract/process';
import { startFaultProxy } from '@soulbox/testing/fault-proxy';
import type { Fault, FaultProxy } from '@soulbox/testing/fault-proxy';
import { describeMethod } from '../core/call-description.ts';
import { callErrorFrom } from '../core/connect-calls.ts';
import { createEvents } from '../core/events.ts';
import type { ClientEvent } from '../core/events.ts';
import { resumeStream } from '../core/resume-stream.ts';
import { createSlots } from '../core/slots.ts';
import { createTarget } from '../core/target.ts';
import { createWebTransport } from '../web/transport.ts';
import { createHttp1Agent } from './http1-agent.ts';
import { createHttp2Pool } from './http2-pool.ts';
import { createNodeTransport } from './transport.ts';

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

type Kind = 'Connect over HTTP/2' | 'gRPC over HTTP/2' | 'Connect over HTTP/1.1' | 'Connect over fetch';
const kinds: readonly Kind[] = [
  ...(['Connect over HTTP/2', 'gRPC over HTTP/2', 'Connect over HTTP/1.1', 'Connect over fetch'] as const),
];

interface World {
  readonly client: Client<typeof Process>;
  readonly proxy: FaultProxy;
  readonly events: ClientEvent[];
  readonly used: () => number;
}

async function openWorld(kind: Kind, routes: (router: ConnectRouter) => void): Promise<World> {
  const isHttp2 = kind.endsWith('/2');
  const adapter = connectNodeAdapter({ routes });
  const sessions = new Set<ServerHttp2Session>();
  const server: Server = isHttp2
    ? createHttp2Server(adapter).on('session', (session) => {
        sessions.add(session);
        session.on('error', () => undefined);
      })
    : createServer(adapter);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.defer(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  const proxy = stack.use(await startFaultProxy((server.address() as AddressInfo).port));
  const baseUrl = `http://127.0.0.1:${proxy.port}`;
  const events = createEvents();
  const seen: ClientEvent[] = [];
  events.on((event) => seen.push(event));
  const retry = { attempts: 5, initialDelayMs: 2, maxDelayMs: 20, budgetMs: 10_000 };
  const target = createTarget({ name: baseUrl, retry, attemptTimeoutMs: 200, breaker: false, events });
  const slots = createSlots(baseUrl, 4, { waitingMax: 10, waitMs: 1000 });
  const pool = createHttp2Pool({ authority: baseUrl, events, keepAlive: { pingIntervalMs: 100, pingTimeoutMs: 100 } });
  const agent: Agent = createHttp1Agent('http:');
  stack.defer(() => {
    pool.close();
    agent.destroy();
  });
  const transport: Transport =
    kind === 'Connect over fetch'
      ? createWebTransport({ baseUrl, target, slots })
      : createNodeTransport({
          ...{ baseUrl, target, slots, over: isHttp2 ? pool : agent },
          protocol: kind.startsWith('gRPC') ? 'grpc' : 'connect',
        });
  return { client: createClient(Process, transport), proxy, events: seen, used: () => slots.used };
}

const withKey = { headers: { 'idempotency-key': '"k"' } };
const retries = ({ events }: World): number => events.filter(({ type }) => type === 'retry').length;

describe.each(kinds)('%s', (kind) => {
  const listing = (router: ConnectRouter): void =>
    void router.service(Process, { list: () => ({ processes: [{ pid: 7 }] }) });

  test.each([
    { kind: 'cut', afterBytes: 0, reset: true },
    { kind: 'cut', afterBytes: 90, reset: true },
    { kind: 'half-close', afterBytes: 90 },
    { kind: 'stall', afterBytes: 90 },
  ] as const satisfies Fault[])('a network with %j: a call that may be repeated succeeds', async (fault) => {
    const world = await openWorld(kind, listing);
    world.proxy.setFault(() => (retries(world) < 2 ? fault : { kind: 'none' }));
    const { processes } = await world.client.list({}, withKey);
    expect(processes.map(({ pid }) => pid)).toEqual([7]);
    // A call that is made again can meet the same stalled connection, until its ping is late.
    expect(retries(world)).toBeGreaterThanOrEqual(2);
    expect(world.used()).toBe(0);
  });

  test('a call that may have taken effect is made once, and its error says so', async () => {
    let calls = 0;
    const world = await openWorld(kind, (router) => {
      router.service(Process, {
        list() {
          calls += 1;
          world.proxy.cutAll();
          return {};
        },
      });
    });
    const error = await world.client.list({}).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConnectError);
    expect(callErrorFrom(error)).toMatchObject({ name: 'CallError', code: 'unavailable', retryable: false });
    expect(callErrorFrom(error, true).retryable).toBe(true);
    expect(calls).toBe(1);
    expect(retries(world)).toBe(0);
  });

  test('an error of the server keeps its code, reason and request id, and is not repeated', async () => {
    const world = await openWorld(kind, (router) => {
      router.service(Process, {
        list() {
          const facts = { 'x-soulbox-reason': 'unknown_user', 'x-request-id': 'abcd1234' };
          throw new ConnectError('no such user', Code.Unauthenticated, facts);
        },
      });
    });
    const error = await world.client.list({}, withKey).catch((thrown: unknown) => callErrorFrom(thrown));
    expect(error).toMatchObject({ code: 'unauthenticated', reason: 'unknown_user', requestId: 'abcd1234' });
    expect(error).toMatchObject({ message: 'no such user', retryable: false });
    expect(retries(world)).toBe(0);
  });

  test('an abort ends a call at once', async () => {
    const world = await openWorld(kind, (router) => {
      router.service(Process, { list: async () => await new Promise(() => undefined) });
    });
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 30);
    const error = await world.client.list({}, { ...withKey, signal: abort.signal }).catch(callErrorFrom);
    expect(error).toMatchObject({ code: 'canceled', reason: 'aborted' });
    expect(retries(world)).toBe(0);
    expect(world.used()).toBe(0);
  });

  test('a stream that is cut at random moments loses and repeats no byte', async () => {
    const log = randomBytes(600_000);
    const world = await openWorld(kind, (router) => {
      router.service(Process, {
        async *start({ process }) {
          for (let at = Number(process?.cmd); at < log.length;) {
            const size = Math.min(1 + ((at * 7919) % 20_000), log.length - at);
            yield {
              event: {
                event: { case: 'data', value: { output: { case: 'stdout', value: log.subarray(at, at + size) } } },
              },
            };
            at += size;
            await new Promise((resolve) => setImmediate(resolve));
          }
          yield { event: { event: { case: 'end', value: { exited: true } } } };
        },
      });
    });
    let connections = 0;
    const cuts = { most: 40 };
    world.proxy.setFault(() => {
      connections += 1;
      if (connections > cuts.most) return { kind: 'none' };
      const afterBytes = randomInt(200, 30_000);
      const roll = connections % 10;
      if (roll === 1) return { kind: 'half-close', afterBytes };
      // A silence costs time, so there are few.
      if (roll === 2 && connections < 15) return { kind: 'stall', afterBytes };
      return { kind: 'cut', afterBytes, reset: roll > 5 };
    });
    const hash = createHash('sha256');
    const stream = resumeStream<{ at: bigint; bytes: Uint8Array | undefined }>(
      {
        name: 'test',
        async *open(from, signal) {
          let at = from.of();
          for await (const { event } of world.client.start({ process: { cmd: String(at) } }, { signal })) {
            const message = event?.event;
            if (message?.case === 'end') yield { at, bytes: undefined };
            if (message?.case !== 'data' || message.value.output.case !== 'stdout') continue;
            const bytes = message.value.output.value;
            yield { at, bytes };
            at += BigInt(bytes.length);
          }
        },
        positionOf: ({ at, bytes }) =>
          bytes === undefined ? undefined : { start: at, end: at + BigInt(bytes.length) },
        isLast: ({ bytes }) => bytes === undefined,
      },
      { retry: { attempts: 40, initialDelayMs: 1, maxDelayMs: 4 }, silenceMs: 150 },
    );
    for await (const { bytes } of stream) if (bytes !== undefined) hash.update(bytes);
    expect(hash.digest('hex')).toBe(createHash('sha256').update(log).digest('hex'));
    expect(connections).toBeGreaterThan(25);
    await expect.poll(() => world.used()).toBe(0);
  });
});

test('methods whose options declare it are safe to repeat, others with a key', () => {
  const method = Process.method.list;
  expect(describeMethod(method)).toEqual({ name: 'process.Process/List', isSafeToRepeat: false });
  expect(describeMethod(method, 'k').isSafeToRepeat).toBe(true);
  const { NO_SIDE_EFFECTS, IDEMPOTENT } = MethodOptions_IdempotencyLevel;
  for (const idempotency of [NO_SIDE_EFFECTS, IDEMPOTENT])
    expect(describeMethod({ ...method, idempotency }).isSafeToRepeat).toBe(true);
});
