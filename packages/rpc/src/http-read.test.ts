/** @module-tag violation */
import { createServer as createHttpServer } from 'node:http';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree, SoulBoxError } from '@soulbox/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readFromHttpService } from './http-read.ts';
import type { HttpService } from './http-call.ts';

let folder: string;
let socketPath: string;
let servers: Server[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'http-read-'));
  socketPath = join(folder, 's');
  servers = [];
});
afterEach(async () => {
  for (const server of servers) server.close();
  await removeTree(folder);
});

const read = async (
  more: Partial<HttpService & { readonly signal: AbortSignal }> = {},
): Promise<{ readonly text: string; readonly version: string | undefined }> => {
  const { signal = AbortSignal.timeout(5000), silenceMs = 0, wake = () => undefined } = more;
  const tooLong = (): Error => new SoulBoxError('storage_damaged', 'too long');
  const service = { socketPath, wake, silenceMs, name: 'service', unavailable: 'storage_unavailable' as const };
  const { bytes, headers } = await readFromHttpService(
    { path: '/a?b=c', signal, maxBytes: 1_000_000, tooLong },
    service,
  );
  return { text: bytes.toString('latin1'), version: headers.get('x-version') };
};

async function serveHttp(answer: RequestListener): Promise<void> {
  const server = createHttpServer(answer).listen(socketPath);
  servers.push(server);
  await once(server, 'listening');
}

/** A server that sends these pieces, a moment apart, whatever it is asked, and ends. */
async function serveRaw(
  pieces: readonly string[],
  after: (socket: Socket) => void = (socket) => socket.end(),
): Promise<void> {
  const send = async (socket: Socket): Promise<void> => {
    socket.on('error', () => undefined);
    await once(socket, 'data');
    for (const piece of pieces) {
      socket.write(piece, 'latin1');
      await sleep(5);
    }
    after(socket);
  };
  const server = createServer((socket) => void send(socket)).listen(socketPath);
  servers.push(server);
  await once(server, 'listening');
}

test.each([0, 1, 16_000, 999_999])('a body of %d bytes arrives as a whole, with the headers', async (length) => {
  const content = Buffer.alloc(length, 'abcdefg').toString('latin1');
  await serveHttp(({ url }, response) => {
    expect(url).toBe('/a?b=c');
    response.writeHead(200, { 'content-length': length, 'X-Version': '7' }).end(content, 'latin1');
  });
  expect(await read()).toEqual({ text: content, version: '7' });
});

test('an answer may come in pieces of any size', async () => {
  const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 12\r\nX-Version: 1\r\n\r\n0123456789ab';
  await serveRaw(Array.from(answer));
  expect(await read()).toEqual({ text: '0123456789ab', version: '1' });
});

test('an error of the service is thrown, also if it has no length', async () => {
  await serveHttp((_, response) => {
    response.writeHead(404, { 'content-type': 'application/json' });
    response.write('{"reason":"storage_not_found",');
    response.end('"message":"There is none."}');
  });
  await expect(read()).rejects.toMatchObject({ reason: 'storage_not_found', message: 'There is none.' });
});

test.each([
  ['breaks off in the head', ['HTTP/1.1 200 OK\r\nContent-Le']],
  ['breaks off in the body', ['HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345']],
  ['sends more than it said', ['HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n12345']],
  ['sends more than it said, later', ['HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n12', '3456']],
  ['sends no length', ['HTTP/1.1 200 OK\r\n\r\n12345']],
  ['sends a length that is none', ['HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n1']],
  ['sends something else', ['SSH-2.0-OpenSSH\r\n\r\n']],
  ['sends nothing', []],
  [
    'sends a head without an end',
    ['HTTP/1.1 200 OK\r\n', ...Array.from({ length: 40 }, () => `x: ${'y'.repeat(1000)}\r\n`)],
  ],
])('a service that %s is unavailable', async (_, pieces) => {
  await serveRaw(pieces);
  await expect(read()).rejects.toMatchObject({ reason: 'storage_unavailable' });
});

test('a body that is too long is refused before it is read', async () => {
  await serveRaw(['HTTP/1.1 200 OK\r\nContent-Length: 1000001\r\n\r\n'], () => undefined);
  await expect(read()).rejects.toMatchObject({ reason: 'storage_damaged' });
});

test('an error that is too long, or no error of ours, is internal', async () => {
  await serveRaw([`HTTP/1.1 500 No\r\nContent-Length: 20\r\n\r\n${'x'.repeat(20)}`]);
  await expect(read()).rejects.toMatchObject({ reason: 'internal' });
});

test('a service that is silent is given up, and a caller who leaves does not wait', async () => {
  await serveRaw(['HTTP/1.1 200 OK\r\n'], () => undefined);
  await expect(read({ silenceMs: 50 })).rejects.toMatchObject({ reason: 'storage_unavailable' });
  await expect(read({ signal: AbortSignal.timeout(50) })).rejects.toMatchObject({ name: 'TimeoutError' });
});

test('a service that is not there yet is started and waited for', async () => {
  let woken = 0;
  const wake = (): void => {
    woken += 1;
    if (woken === 2) void serveHttp((_, response) => response.writeHead(200, { 'content-length': 2 }).end('ok'));
  };
  expect((await read({ wake })).text).toBe('ok');
  expect(woken).toBeGreaterThanOrEqual(2);
});
