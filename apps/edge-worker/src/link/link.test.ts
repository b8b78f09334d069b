import { once } from 'node:events';
import { createServer } from 'node:http2';
import type { Http2Server, ServerHttp2Stream } from 'node:http2';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { functionLinkPaths } from '@soulbox/contract/functions';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createFunctionLog } from '../log/function-log.ts';
import type { FunctionLog } from '../log/function-log.ts';
import { openLink } from './link.ts';
import type { Link } from './link.ts';

// The host connects and then serves HTTP/2 on its own connection, as the server does.
let log: FunctionLog;
let link: Link;
let sockets: Socket[];

beforeEach(async () => {
  log = createFunctionLog();
  link = openLink(log);
  sockets = [];
  link.server.listen(0, '127.0.0.1');
  await once(link.server, 'listening');
});
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  link.server.close();
});

async function connectHost(serve: (stream: ServerHttp2Stream, path: string) => void): Promise<Http2Server> {
  const host = createServer();
  host.on('stream', (stream, headers) => serve(stream, headers[':path'] ?? ''));
  const socket = connect((link.server.address() as AddressInfo).port, '127.0.0.1');
  sockets.push(socket);
  await once(socket, 'connect');
  host.emit('connection', socket);
  return host;
}

const answering = (name: string) => (stream: ServerHttp2Stream, path: string) => {
  stream.respond({ ':status': 200 });
  stream.end(`${name} ${path}`);
};
const ask = async (path: string): Promise<string> =>
  await text(await link.request({ ':method': 'GET', ':path': path }));

test('a request waits for the host and reaches it', async () => {
  const answer = ask('/kv/a');
  await connectHost(answering('host'));
  expect(await answer).toBe('host /kv/a');
});

test('the newest connection is used, and the previous one is closed', async () => {
  await connectHost(answering('first'));
  expect(await ask('/1')).toBe('first /1');
  const closed = once(sockets[0] as Socket, 'close');
  await connectHost(answering('second'));
  await closed;
  expect(await ask('/2')).toBe('second /2');
});

test('log lines, including earlier ones, are sent once to a host that listens', async () => {
  const received: string[] = [];
  log.add({ source: 'console', level: 'info', message: 'before' });
  await connectHost((stream, path) => {
    expect(path).toBe(functionLinkPaths.logs);
    void text(stream).then((lines) => received.push(...lines.trim().split('\n')));
    stream.respond({ ':status': 204 }, { endStream: true });
  });
  log.add({ source: 'console', level: 'info', message: 'after' });
  await expect.poll(() => received).toHaveLength(2);
  await sleep(100);
  expect(received.map((line) => (JSON.parse(line) as { message: string }).message)).toEqual(['before', 'after']);
});

test('the loss of the host ends open requests without a response', async () => {
  await connectHost((stream) => stream.session?.destroy());
  const stream = await link.request({ ':method': 'GET', ':path': '/kv/a' });
  let answers = 0;
  stream.on('response', () => (answers += 1));
  stream.on('error', () => undefined);
  await once(stream, 'close');
  expect(answers).toBe(0);
});

test('without a host a request fails after a wait', async () => {
  await expect(ask('/kv/a')).rejects.toThrow('is not connected');
});
