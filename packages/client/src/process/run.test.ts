/** @module-tag violation */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import type { Client } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { OutputStream, ProcessService } from '@soulbox/contract/process-v1';
import type { AttachRequest, RunRequest, StartRequest } from '@soulbox/contract/process-v1';
import { startFaultProxy } from '@soulbox/testing/fault-proxy';
import type { FaultProxy } from '@soulbox/testing/fault-proxy';
import { afterEach, expect, test } from 'vitest';
import { createTarget } from '../core/target.ts';
import { createWebTransport } from '../web/transport.ts';
import { attachProcess } from './attach.ts';
import { runProcess } from './run.ts';

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

type Call =
  | { readonly kind: 'run'; readonly request: RunRequest }
  | { readonly kind: 'start'; readonly request: StartRequest }
  | { readonly kind: 'attach'; readonly request: AttachRequest };

interface World {
  readonly client: Client<typeof ProcessService>;
  readonly proxy: FaultProxy;
  readonly calls: readonly Call[];
}

const log = randomBytes(100_000);
const retry = { attempts: 20, initialDelayMs: 1, maxDelayMs: 4 };
const start = { id: 'p', command: { program: 'true' } };

function* outputFrom(position: number) {
  yield {
    event: { event: { case: 'attached' as const, value: { position: BigInt(position), process: { id: 'p' } } } },
  };
  for (let at = position; at < log.length; at += 10_000) {
    const data = log.subarray(at, at + 10_000);
    const value = { position: BigInt(at), stream: OutputStream.STDOUT, streamPosition: BigInt(at), data };
    yield { event: { event: { case: 'output' as const, value } } };
  }
  yield { event: { event: { case: 'ended' as const, value: { position: BigInt(log.length), exit: { code: 3 } } } } };
}

/** `run`: replaces the answer to that call. */
async function openWorld(run?: () => ReturnType<typeof outputFrom>): Promise<World> {
  const calls: Call[] = [];
  const adapter = connectNodeAdapter({
    routes: (router) => {
      router.service(ProcessService, {
        async *run(request) {
          calls.push({ kind: 'run', request });
          for (const response of (run ?? (() => outputFrom(0)))()) {
            yield response;
            await new Promise((resolve) => setImmediate(resolve));
          }
        },
        start(request) {
          calls.push({ kind: 'start', request });
          return { process: { id: 'p', pid: 7 } };
        },
        async *attach(request) {
          calls.push({ kind: 'attach', request });
          const from = request.from?.from;
          for (const response of outputFrom(from?.case === 'position' ? Number(from.value) : 0)) {
            yield response;
            await new Promise((resolve) => setImmediate(resolve));
          }
        },
      });
    },
  });
  const server = createServer(adapter);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  const proxy = stack.use(await startFaultProxy((server.address() as AddressInfo).port));
  const baseUrl = `http://127.0.0.1:${proxy.port}`;
  const target = createTarget({ name: baseUrl, breaker: false });
  return { client: createClient(ProcessService, createWebTransport({ baseUrl, target })), proxy, calls };
}

/** Runs a process and returns its output and its exit code. */
async function runAndRead({ client }: World): Promise<{ output: Buffer; exitCode: number | undefined }> {
  const { opened } = await runProcess(client, { start }, { retry });
  const parts: Uint8Array[] = [];
  let exitCode: number | undefined;
  for await (const event of attachProcess(client, { processId: 'p', opened }, { retry, silenceMs: 2000 })) {
    if (event.case === 'output') parts.push(event.value.data);
    if (event.case === 'ended') exitCode = event.value.exit?.code;
  }
  return { output: Buffer.concat(parts), exitCode };
}

const kindsOf = ({ calls }: World): string[] => calls.map(({ kind }) => kind);

test('one call starts a process and reads all of its output', async () => {
  const world = await openWorld();
  expect(await runAndRead(world)).toEqual({ output: log, exitCode: 3 });
  expect(kindsOf(world)).toEqual(['run']);
});

test('a call that is cut before its answer is repeated with the same id', async () => {
  const world = await openWorld();
  world.proxy.setFault((n) => (n < 3 ? { kind: 'cut', afterBytes: 0, reset: true } : { kind: 'none' }));
  expect(await runAndRead(world)).toEqual({ output: log, exitCode: 3 });
  const ids = world.calls.map(({ request }) => ('start' in request ? request.start?.id : undefined));
  expect(ids).toEqual(ids.map(() => 'p'));
});

test('an output that is cut is read on from its position', async () => {
  const world = await openWorld();
  world.proxy.setFault((n) => (n < 3 ? { kind: 'cut', afterBytes: 25_000, reset: n % 2 === 0 } : { kind: 'none' }));
  expect(await runAndRead(world)).toEqual({ output: log, exitCode: 3 });
  expect(kindsOf(world)).toEqual(['run', 'attach', 'attach', 'attach']);
});

test('a server without the call starts the process, and then it is attached to', async () => {
  const world = await openWorld(() => {
    throw new ConnectError('unknown method', Code.Unimplemented);
  });
  expect(await runAndRead(world)).toEqual({ output: log, exitCode: 3 });
  expect(kindsOf(world)).toEqual(['run', 'start', 'attach']);
});

test('an error of the start is final, and a signal ends a call without an answer', async () => {
  const refused = await openWorld(() => {
    throw new ConnectError('no such user', Code.InvalidArgument);
  });
  await expect(runProcess(refused.client, { start }, { retry })).rejects.toMatchObject({
    ...{ name: 'CallError', code: 'invalid_argument', retryable: false },
  });
  expect(kindsOf(refused)).toEqual(['run']);
  const silent = await openWorld();
  silent.proxy.setFault(() => ({ kind: 'silence' }));
  const signal = AbortSignal.timeout(50);
  await expect(runProcess(silent.client, { start }, { retry, signal })).rejects.toMatchObject({ reason: 'timeout' });
});
