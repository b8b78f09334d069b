import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, Server } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { FunctionSettings } from '@soulbox/contract/functions';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EngineFault } from '../engine/engine.ts';
import type { Engine } from '../engine/engine.ts';
import type { EngineLifecycle } from '../engine/engine-lifecycle.ts';
import { createEngineEnds } from '../engine/engine-ends.ts';
import { createOpenRequests } from '../engine/open-requests.ts';
import { createFunctionLog } from '../log/function-log.ts';
import type { FunctionLog } from '../log/function-log.ts';
import { createFront } from './front.ts';

// The connections are real; the engine is a server of the test on a Unix socket.
const settings: FunctionSettings = {
  ...{ kind: 'workers', source: '', variables: {}, kvBindings: [], memoryMb: 128 },
  ...{ requestTimeoutMs: 300, maxBodyBytes: 1000, compatibilityDate: '2025-01-01', compatibilityFlags: [] },
};
let cleanup: AsyncDisposableStack;
let log: FunctionLog;
let engine: Server;
let serve: RequestListener;
let front: Server;
let url: string;
let open: number;
let uses: number;
let suspected: number;
let fault: EngineFault | undefined;
let exited: Promise<void>;
let ends: ReturnType<typeof createEngineEnds>;

beforeEach(async () => {
  cleanup = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-front-'));
  cleanup.defer(() => rm(folder, { recursive: true }));
  [open, uses, suspected, fault] = [0, 0, 0, undefined];
  exited = new Promise(() => undefined);
  ends = createEngineEnds();
  const requests = join(folder, 'requests.sock');
  engine = createServer((request, response) => serve(request, response));
  await listen(engine, requests);
  log = createFunctionLog();
  const lifecycle: EngineLifecycle = {
    settings,
    serve: () => Promise.reject(new Error('not called')),
    use: () => {
      if (fault !== undefined) return Promise.reject(fault);
      const used: Engine = {
        ...{ pid: 0, requests, ping: () => exited, exited, gone: false, kill: () => undefined },
        ...createOpenRequests(() => undefined),
      };
      uses += 1;
      return Promise.resolve({ engine: used, [Symbol.dispose]: () => void (uses -= 1) });
    },
    enter: () => {
      open += 1;
      return { [Symbol.dispose]: () => void (open -= 1) };
    },
    suspect: () => {
      suspected += 1;
      return Promise.resolve();
    },
    explainEnd: (used) => ends.explain(used),
  };
  front = createFront(lifecycle, log);
  await listen(front, 0);
  url = `http://127.0.0.1:${(front.address() as AddressInfo).port}`;
});
afterEach(() => cleanup.disposeAsync());

async function listen(server: Server, where: string | number): Promise<void> {
  server.listen(where);
  await once(server, 'listening');
  cleanup.defer(() => {
    server.closeAllConnections();
    server.close();
  });
}

test('a request reaches the engine unchanged, with the client address that the gateway has seen', async () => {
  let seen: IncomingMessage | undefined;
  serve = (request, response) => {
    seen = request;
    void text(request).then((body) => response.writeHead(201, { 'x-mine': 'yes' }).end(`got ${body}`));
  };
  const headers = { 'x-forwarded-for': '192.0.2.7', 'cf-connecting-ip': '10.0.0.1', 'x-real-ip': '10.0.0.2' };
  const response = await fetch(`${url}/path?key=secret`, { method: 'PUT', headers, body: 'hello' });
  expect([response.status, response.headers.get('x-mine'), await response.text()]).toEqual([201, 'yes', 'got hello']);
  expect([seen?.method, seen?.url]).toEqual(['PUT', '/path?key=secret']);
  expect(seen?.headers).toMatchObject({ 'cf-connecting-ip': '192.0.2.7', 'x-real-ip': '192.0.2.7' });
});

test('the log line leaves out the query, and a request is open only while it lasts', async () => {
  serve = (_request, response) => {
    expect([open, uses]).toEqual([1, 1]);
    response.end();
  };
  await (await fetch(`${url}/path?key=secret`)).text();
  await expect.poll(() => [open, uses]).toEqual([0, 0]);
  expect(log.after(0)).toMatchObject([{ source: 'request', level: 'info' }]);
  expect(log.after(0)[0]?.message).toMatch(/^GET \/path 200 \d+ms$/);
});

test('a body above the limit is refused with 413, whether its length is announced or not', async () => {
  serve = (request, response) => {
    request.on('error', () => undefined);
    void text(request).then(
      () => response.end('took it'),
      () => undefined,
    );
  };
  const body = 'x'.repeat(settings.maxBodyBytes + 1);
  expect((await fetch(url, { method: 'POST', body })).status).toBe(413);
  const stream = new ReadableStream({
    start: (controller) => {
      controller.enqueue(new TextEncoder().encode(body));
      controller.close();
    },
  });
  expect((await fetch(url, { method: 'POST', body: stream, duplex: 'half' })).status).toBe(413);
  expect(await (await fetch(url, { method: 'POST', body: body.slice(1) })).text()).toBe('took it');
});

test('code that does not answer in time is suspected, and its caller gets 504', async () => {
  serve = () => undefined;
  const response = await fetch(url);
  expect(response.status).toBe(504);
  expect(await response.json()).toEqual({ code: 504, message: 'The function did not respond within 300 ms.' });
  expect(suspected).toBe(1);
});

test('a response that has started in time may take longer', async () => {
  serve = (_request, response) => {
    response.write('one ');
    setTimeout(() => response.end('two'), settings.requestTimeoutMs + 200);
  };
  expect(await (await fetch(url)).text()).toBe('one two');
});

test('an engine that cannot start is reported as 503 with its reason', async () => {
  fault = new EngineFault('The function could not be started: SyntaxError');
  expect(await (await fetch(url)).json()).toEqual({ code: 503, message: fault.message });
});

test('an engine that ends is reported as 503 with its reason, also if its end is known later than its connection', async () => {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  exited = promise;
  serve = (request) => {
    request.socket.destroy();
    setTimeout(resolve, 150, undefined);
  };
  const answer = { code: 503, message: 'The function ended unexpectedly: it ran out of memory, or its engine failed.' };
  expect(await (await fetch(url)).json()).toEqual(answer);
});

test('a response that breaks off is not treated as complete', async () => {
  serve = (request, response) => {
    response.write('half');
    setTimeout(() => request.socket.destroy(), 20);
  };
  await expect(fetch(url).then((response) => response.text())).rejects.toThrow('terminated');
});

test('the connection of an upgrade is passed on in both directions and closes on both ends', async () => {
  engine.on('upgrade', (_request, socket, head) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    socket.end(`echo ${head.toString()}`);
  });
  const socket = connect((front.address() as AddressInfo).port, '127.0.0.1');
  socket.write('GET /ws HTTP/1.1\r\nHost: f\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello');
  const received = await text(socket);
  expect(received).toMatch(/^HTTP\/1\.1 101 /);
  expect(received.endsWith('echo hello')).toBe(true);
  await expect.poll(() => [open, uses]).toEqual([0, 0]);
});

test.each([
  ['accepts', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n', 'GET /ws 101'],
  ['refuses', 'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n', 'GET /ws 403'],
  ['breaks off', '', 'GET /ws 502'],
])('the log has the status of an upgrade that the engine %s', async (_, answer, line) => {
  engine.on('upgrade', (_request, socket) => void socket.end(answer));
  const socket = connect((front.address() as AddressInfo).port, '127.0.0.1');
  socket.write('GET /ws?key=secret HTTP/1.1\r\nHost: f\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  await text(socket);
  await expect.poll(() => log.after(0).map(({ message }) => message)).toEqual([expect.stringContaining(line)]);
});
