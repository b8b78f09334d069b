import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { ConnectRouter, HandlerContext } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { Process, Signal } from '@soulbox/contract/process';
import type { StartRequest } from '@soulbox/contract/process';
import { afterEach, expect, test, vi } from 'vitest';
import { createPrograms } from './programs.ts';
import type { Programs } from './programs.ts';

// Builds in real sandboxes test the behavior of a real envd. Here envd is a server that can misbehave.

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

type Start = (request: StartRequest, call: HandlerContext) => AsyncGenerator<object>;

interface Envd {
  readonly start?: Start;
  readonly onSignal?: (pid: number, signal: Signal) => void;
  readonly onFile?: (request: IncomingMessage, response: ServerResponse) => void;
}

async function openPrograms({ start, onSignal, onFile }: Envd): Promise<Programs> {
  const routes = (router: ConnectRouter): void => {
    router.service(Process, {
      ...(start === undefined ? {} : { start }),
      sendSignal: ({ process, signal }) => {
        onSignal?.(process?.selector.case === 'pid' ? process.selector.value : 0, signal);
        return {};
      },
    });
  };
  const rpc = connectNodeAdapter({ routes });
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/files') === true) onFile?.(request, response);
    else rpc(request, response);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  cleanups.push(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return createPrograms((asked) => {
    expect(asked).toBe(49_983);
    return Promise.resolve(connect(port, '127.0.0.1'));
  }, 'the-token');
}

const started = { event: { event: { case: 'start', value: { pid: 42 } } } };
const ended = { event: { event: { case: 'end', value: { exitCode: 3, exited: true, status: 'exit status 3' } } } };
const printed = (text: string) => ({
  event: { event: { case: 'data', value: { output: { case: 'stdout', value: new TextEncoder().encode(text) } } } },
});
/** Sends these events and never ends. */
async function* hang(...events: object[]): AsyncGenerator<object> {
  yield* events;
  await new Promise(() => undefined);
}

test('a program is sent to envd unchanged, with user and token, and its output and end are returned', async () => {
  const seen: unknown[] = [];
  const programs = await openPrograms({
    async *start({ process }, { requestHeader }) {
      seen.push(process?.cmd, process?.args, process?.envs, process?.cwd);
      seen.push(requestHeader.get('authorization'), requestHeader.get('x-access-token'));
      yield await Promise.resolve(started);
      yield printed('one');
      yield printed('two');
      yield ended;
    },
  });
  let output = '';
  const program = { command: 'sh', args: ['-c', 'a "b"'], env: { A: 'x' }, cwd: '/srv', user: 'alice' };
  const end = await programs.run(program, (channel, bytes) => {
    output += channel + new TextDecoder().decode(bytes);
  });
  expect(end).toEqual({ exitCode: 3, status: 'exit status 3' });
  expect(output).toBe('stdoutonestdouttwo');
  const basic = `Basic ${Buffer.from('alice:').toString('base64')}`;
  expect(seen).toEqual(['sh', ['-c', 'a "b"'], { A: 'x' }, '/srv', basic, 'the-token']);
});

test('an abort kills the program by its pid', async () => {
  const killed = Promise.withResolvers<unknown>();
  const abort = new AbortController();
  const programs = await openPrograms({
    async *start() {
      yield started;
      await killed.promise;
      yield ended;
    },
    onSignal: (pid, signal) => killed.resolve([pid, signal]),
  });
  const running = programs.run({ command: 'x', args: [], signal: abort.signal }, () => abort.abort());
  setTimeout(() => abort.abort(), 100);
  await running;
  expect(await killed.promise).toEqual([42, Signal.SIGKILL]);
});

function useFakeTimers(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  cleanups.push(() => void vi.useRealTimers());
}

/** Whether the promise is settled, as far as it can be known now. */
function watch(promise: Promise<unknown>): () => boolean {
  let isSettled = false;
  const settle = (): void => void (isSettled = true);
  promise.then(settle, settle);
  return () => isSettled;
}

test('a killed program that does not end is given up after 10 seconds', async () => {
  const killed = Promise.withResolvers<unknown>();
  const abort = new AbortController();
  const programs = await openPrograms({ start: () => hang(started), onSignal: killed.resolve });
  useFakeTimers();
  const running = programs.run({ command: 'x', args: [], signal: abort.signal, onStart: () => abort.abort() });
  const isOver = watch(running);
  await killed.promise;
  await vi.advanceTimersByTimeAsync(9_900);
  expect(isOver()).toBe(false);
  await vi.advanceTimersByTimeAsync(200);
  await expect(running).rejects.toThrow();
});

test('the limit of a start does not end a program that has started', async () => {
  const begun = Promise.withResolvers<unknown>();
  const programs = await openPrograms({ start: () => hang(started) });
  useFakeTimers();
  const running = programs.run({ command: 'x', args: [], onStart: begun.resolve });
  const isOver = watch(running);
  await begun.promise;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(isOver()).toBe(false);
  programs.close();
  await expect(running).rejects.toThrow();
});

test('a detached program keeps running after its start', async () => {
  const programs = await openPrograms({ start: () => hang(started) });
  expect(await programs.startDetached({ command: 'x', args: [] })).toBe(42);
});

test.each([
  [
    'ends without saying how',
    async function* () {
      yield await Promise.resolve(started);
    },
    'did not report how a program ended',
  ],
  [
    'says more at once than is taken',
    async function* () {
      yield await Promise.resolve(printed('x'.repeat(2 * 1024 * 1024)));
    },
    'larger than',
  ],
] as [string, () => AsyncGenerator<object>, string][])('an envd that %s is an error', async (_, start, words) => {
  const programs = await openPrograms({ start });
  await expect(programs.run({ command: 'x', args: [] })).rejects.toThrow(words);
});

test('closing cuts calls in progress', async () => {
  const programs = await openPrograms({ start: () => hang(started) });
  const running = programs.run({ command: 'x', args: [] });
  setTimeout(() => programs.close(), 100);
  await expect(running).rejects.toThrow();
});

async function* content(): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(Buffer.from('some '));
  yield Buffer.from('content');
}

test('an upload names the path and the user, and is streamed', async () => {
  const got = Promise.withResolvers<string>();
  const programs = await openPrograms({
    onFile: (request, response) => {
      let text = '';
      request.on('data', (piece: Buffer) => (text += piece.toString()));
      request.on('end', () => {
        got.resolve(`${request.url ?? ''} ${text}`);
        response.end('{}');
      });
    },
  });
  await programs.upload('/a b', content(), { user: 'root' });
  expect(await got.promise).toBe('/files?path=%2Fa+b&username=root some content');
});

test.each([
  [507, 'full', 'disk_full'],
  [400, 'no such folder', 'bad_request'],
])('an upload that is answered with %i is %s', async (status, text, reason) => {
  const programs = await openPrograms({
    onFile: (request, response) => void request.resume().on('end', () => response.writeHead(status).end(text)),
  });
  await expect(programs.upload('/a', content())).rejects.toMatchObject({ reason });
});

test('an upload whose answer never ends fails', async () => {
  const programs = await openPrograms({
    onFile: (request, response) => {
      request.resume();
      const write = (): void => {
        if (response.write('x'.repeat(16_384))) setImmediate(write);
      };
      response.on('drain', write);
      write();
    },
  });
  await expect(programs.upload('/a', content())).rejects.toMatchObject({
    reason: 'sandbox_unreachable',
    cause: { message: expect.stringContaining('too large') as string },
  });
});
