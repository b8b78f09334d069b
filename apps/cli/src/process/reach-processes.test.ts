import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import type { ConnectRouter } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { afterEach, expect, test } from 'vitest';
import { Secret } from '@soulbox/base';
import type { ClientEvent } from '@soulbox/client';
import { OutputStream, ProcessService } from '@soulbox/contract/process-v1';
import { attachProcess } from '@soulbox/client/process';
import { startFaultProxy } from '@soulbox/testing/fault-proxy';
import { connectionEvents } from '../api/connection-events.ts';
import type { ApiConnection } from '../api/connection.ts';
import { startScriptedApi } from '../testing/scripted-api.ts';
import { reachProcesses } from './reach-processes.ts';

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

const running = { status: 200, body: { sandboxID: 'i1', state: 'running' } };

async function openWorld(start: (adapter: ReturnType<typeof connectNodeAdapter>) => Server, routes: object) {
  const adapter = connectNodeAdapter({
    routes: (router: ConnectRouter) => void router.service(ProcessService, routes),
  });
  const versions: string[] = [];
  const server = start((request, response) => {
    versions.push(request.httpVersion);
    adapter(request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.defer(() => {
    server.close();
  });
  const proxy = stack.use(await startFaultProxy((server.address() as AddressInfo).port));
  const { environment } = stack.use(await startScriptedApi([running, running, running]));
  const sandboxUrl = `http://127.0.0.1:${proxy.port}`;
  const url = environment['E2B_API_URL'] ?? '';
  const api: ApiConnection = { url, key: new Secret('k'), sandboxUrl: () => sandboxUrl };
  const events: ClientEvent[] = [];
  stack.defer(
    connectionEvents.on((event) => {
      if (event.target === sandboxUrl) events.push(event);
    }),
  );
  return { api, proxy, versions, events };
}

const list = { list: () => ({ processes: [{ id: 'p' }] }) };

test.each([
  ['a server with HTTP/2', true, (adapter) => createHttp2Server(adapter), '2.0'],
  ['a server without HTTP/2', true, (adapter) => createServer(adapter), '1.1'],
  ['output in bulk', false, (adapter) => createServer(adapter), '1.1'],
] as const satisfies [string, boolean, Parameters<typeof openWorld>[0], string][])(
  'a terminal uses the best connection: %s',
  async (_, isTerminal, start, version) => {
    const { api, versions } = await openWorld(start, list);
    using sandbox = await reachProcesses(api, 'i1', { isTerminal });
    for (let n = 0; n < 2; n++) expect((await sandbox.client.list({})).processes).toHaveLength(1);
    expect(versions).toEqual([version, version]);
  },
);

test('more calls than connections wait for a bounded time, and tell it', async () => {
  const { api, events } = await openWorld((adapter) => createServer(adapter), list);
  using sandbox = await reachProcesses(api, 'i1', { connectionsMax: 1 });
  await Promise.all([sandbox.client.list({}), sandbox.client.list({})]);
  expect(events).toMatchObject([{ type: 'wait', waiting: 1 }]);
});

test('the output of a terminal continues on another connection when its own was replaced', async () => {
  const log = Buffer.from('abcd');
  const routes = {
    async *attach({ from }: { from?: { from: { case?: string; value?: unknown } } }) {
      const at = from?.from.case === 'position' ? Number(from.from.value) : 0;
      yield { event: { event: { case: 'attached', value: { position: BigInt(at) } } } };
      const output = { position: BigInt(at), streamPosition: BigInt(at), stream: OutputStream.STDOUT };
      yield { event: { event: { case: 'output', value: { ...output, data: log.subarray(at, at + 2) } } } };
      if (at === 0) await new Promise(() => undefined);
      yield { event: { event: { case: 'ended', value: { position: 4n, exit: { code: 0 } } } } };
    },
  };
  const { api, proxy, events } = await openWorld((adapter) => createHttp2Server(adapter), routes);
  using sandbox = await reachProcesses(api, 'i1', { isTerminal: true });
  let text = '';
  const options = { silenceMs: 300, onResume: () => undefined };
  for await (const event of attachProcess(sandbox.patient, { processId: 'p' }, options)) {
    if (event.case !== 'output') continue;
    text += Buffer.from(event.value.data).toString();
    if (text === 'ab') proxy.stallAll();
  }
  expect(text).toBe('abcd');
  // A connection that gave no answer is in doubt, so the stream did not wait for its ping to be late.
  expect(events.map(({ type }) => type).filter((type) => type !== 'wait')).toEqual(['connect', 'connect']);
});
