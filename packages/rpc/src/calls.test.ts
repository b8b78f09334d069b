// What calls and streams do between two sides that keep to the protocol.
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import type { Client, HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { RunnerService } from '@soulbox/contract/runner';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { serveSocket } from './serve-socket.ts';
import { createSocketTransport } from './socket-transport.ts';
import { settled } from './testing/settled.ts';

let folder: string;
let runner: Client<typeof RunnerService>;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rpc-'));
  runner = createClient(RunnerService, createSocketTransport(join(folder, 'a.sock')));
});
afterEach(async () => await removeTree(folder));

const serve = async (service: Partial<ServiceImpl<typeof RunnerService>>): Promise<AsyncDisposable> =>
  await serveSocket({
    path: join(folder, 'a.sock'),
    doors: [{ name: 'test', admits: () => true, routes: (router) => router.service(RunnerService, service) }],
    logger: silentLogger,
  });

const errorOf = async (work: Promise<unknown>): Promise<ConnectError> => {
  const thrown: unknown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof ConnectError)) throw new Error('the call did not fail');
  return thrown;
};

/** A handler that waits for the end of its call, and what it was told. */
function createWaiter(): {
  handler: (request: object, context: HandlerContext) => Promise<object>;
  ended: Promise<Code>;
} {
  const { promise, resolve } = Promise.withResolvers<Code>();
  const handler = async (_request: object, { signal }: HandlerContext): Promise<object> => {
    await once(signal, 'abort');
    resolve(ConnectError.from(signal.reason).code);
    throw signal.reason;
  };
  return { handler, ended: promise };
}

/** A stream that sends one message and waits for its end, and what it was told. */
function createEndlessStream(): { service: Partial<ServiceImpl<typeof RunnerService>>; ended: Promise<Code> } {
  const { promise, resolve } = Promise.withResolvers<Code>();
  const service: Partial<ServiceImpl<typeof RunnerService>> = {
    async *watchEvents(_request, { signal }) {
      yield { event: { case: 'snapshotDone', value: {} } };
      await once(signal, 'abort');
      resolve(ConnectError.from(signal.reason).code);
    },
  };
  return { service, ended: promise };
}

test('answers come back to their calls, in whatever order they are given', async () => {
  await using _server = await serve({
    killSandbox: async ({ sandboxId }) => {
      await sleep(Number(sandboxId) % 7);
      if (sandboxId === '13') throw new ConnectError('thirteen', Code.NotFound);
      return {};
    },
    getPool: () => ({ ready: 3 }),
  });
  const calls = Array.from({ length: 200 }, async (_, index) => {
    if (index === 13) return (await errorOf(runner.killSandbox({ sandboxId: '13' }))).rawMessage;
    if (index % 2 === 0) return (await runner.getPool({})).ready;
    return await runner.killSandbox({ sandboxId: String(index) }).then(() => 'killed');
  });
  const answers = await Promise.all(calls);
  expect(answers).toEqual(answers.map((_, index) => (index === 13 ? 'thirteen' : index % 2 === 0 ? 3 : 'killed')));
});

test('an error keeps its code, text and metadata; the text of a defect stays with its process', async () => {
  await using _server = await serve({
    getPool: () => {
      throw new ConnectError('Löschen: no', Code.FailedPrecondition, { 'x-soulbox-reason': 'host_full' });
    },
    getHostDisk: () => {
      throw new Error('secret detail');
    },
  });
  const error = await errorOf(runner.getPool({}));
  expect([error.code, error.rawMessage, error.metadata.get('x-soulbox-reason')]).toEqual([
    ...[Code.FailedPrecondition, 'Löschen: no', 'host_full'],
  ]);
  const defect = await errorOf(runner.getHostDisk({}));
  expect([defect.code, defect.rawMessage]).toEqual([Code.Internal, 'internal error']);
});

test('a caller that gives up is told to the handler, and other calls go on', async () => {
  const { handler, ended } = createWaiter();
  await using _server = await serve({ getHostDisk: handler, getPool: () => ({ ready: 1 }) });
  const giveUp = new AbortController();
  const call = errorOf(runner.getHostDisk({}, { signal: giveUp.signal }));
  await runner.getPool({});
  giveUp.abort();
  expect([(await call).code, await ended]).toEqual([Code.Canceled, Code.Canceled]);
  expect((await runner.getPool({})).ready).toBe(1);
});

test('a time limit ends the call on both sides', async () => {
  const { handler, ended } = createWaiter();
  await using _server = await serve({ getHostDisk: handler });
  const call = errorOf(runner.getHostDisk({}, { timeoutMs: 50 }));
  expect((await call).code).toBe(Code.DeadlineExceeded);
  expect([Code.DeadlineExceeded, Code.Canceled]).toContain(await ended);
});

test('a message as large as the list of a full host passes', async () => {
  const metadata = { a: 'x'.repeat(1000) };
  await using _server = await serve({
    listSandboxes: () => ({
      sandboxes: Array.from({ length: 20_000 }, (_, index) => ({ sandboxId: `${index}`, metadata })),
    }),
  });
  const { sandboxes } = await runner.listSandboxes({});
  expect([sandboxes.length, sandboxes.at(-1)?.sandboxId]).toEqual([20_000, '19999']);
});

test('a larger message is an error of its call only, in both directions', async () => {
  const large = { a: 'x'.repeat(70 * 2 ** 20) };
  await using _server = await serve({
    listSandboxes: () => ({ sandboxes: [{ metadata: large }] }),
    createSandbox: () => ({}),
    getPool: () => ({ ready: 1 }),
  });
  expect((await errorOf(runner.listSandboxes({}))).code).toBe(Code.ResourceExhausted);
  expect((await errorOf(runner.createSandbox({ metadata: large }))).code).toBe(Code.InvalidArgument);
  expect((await runner.getPool({})).ready).toBe(1);
});

test('a stream arrives whole and in order, and its error after its messages', async () => {
  await using _server = await serve({
    async *watchEvents() {
      for (let index = 0; index < 5000; index++) yield { event: { case: 'snapshotDone' as const, value: {} } };
      await Promise.resolve();
      throw new ConnectError('no more', Code.DataLoss);
    },
  });
  let count = 0;
  const read = async (): Promise<void> => {
    for await (const { event } of runner.watchEvents({})) if (event.case === 'snapshotDone') count++;
  };
  expect((await errorOf(read())).code).toBe(Code.DataLoss);
  expect(count).toBe(5000);
});

test('a stream waits for its reader, and does not delay calls', async () => {
  let sent = 0;
  await using _server = await serve({
    async *runProgram() {
      await Promise.resolve();
      for (; sent < 1000; sent++) yield { event: { case: 'log' as const, value: { text: Buffer.alloc(64 * 1024) } } };
    },
    getPool: () => ({ ready: 1 }),
  });
  const stream = runner.runProgram({})[Symbol.asyncIterator]();
  await stream.next();
  expect(await settled(() => sent)).toBeGreaterThan(0);
  expect((await runner.getPool({})).ready).toBe(1);
  // What the kernel, both processes' sockets and the reader's queue hold: some MiB.
  expect(sent).toBeLessThan(100);
  let rest = 0;
  while ((await stream.next()).done !== true) rest++;
  expect(rest).toBe(999);
});

test('the end of a reader is told to the stream that it has left', async () => {
  const { service, ended } = createEndlessStream();
  await using _server = await serve(service);
  const leave = new AbortController();
  const stream = runner.watchEvents({}, { signal: leave.signal })[Symbol.asyncIterator]();
  await stream.next();
  const next = errorOf(stream.next());
  leave.abort();
  expect([(await next).code, await ended]).toEqual([Code.Canceled, Code.Canceled]);
});

// Connect's clients do not tell a stream that its reader has left the loop: only the signal does.
test('a stream ends with its signal, although its reader does not read any more', async () => {
  const { service, ended } = createEndlessStream();
  await using _server = await serve(service);
  const leave = new AbortController();
  for await (const { event } of runner.watchEvents({}, { signal: leave.signal }))
    if (event.case === 'snapshotDone') break;
  leave.abort();
  expect(await ended).toBe(Code.Canceled);
});

test('a server that stops answers its calls in progress and refuses new ones', async () => {
  const { promise: begun, resolve: begin } = Promise.withResolvers<boolean>();
  const server = await serve({
    getHostDisk: async () => {
      begin(true);
      await sleep(300);
      return {};
    },
    getPool: () => ({ ready: 1 }),
  });
  const call = runner.getHostDisk({});
  await begun;
  const stopped = server[Symbol.asyncDispose]();
  expect((await errorOf(runner.getPool({}))).code).toBe(Code.Unavailable);
  expect(await call).toMatchObject({});
  await stopped;
});
