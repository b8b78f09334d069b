import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readFromHttpService } from './http-read.ts';

let folder: string;
let server: Server | undefined;
const { signal } = new AbortController();
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'http-read-'));
});
afterEach(async () => {
  server?.close();
  await rm(folder, { recursive: true });
});

const socketPath = (): string => join(folder, 's');
const service = (silenceMs = 5000) => ({
  ...{ socketPath: socketPath(), wake: () => undefined, name: 'store', unavailable: 'storage_unavailable' as const },
  silenceMs,
});
const read = (more: { into?: Buffer; maxBytes?: number; signal?: AbortSignal } = {}, silenceMs?: number) =>
  readFromHttpService({ path: '/a?b=c', signal, maxBytes: 1_000_000, ...more }, service(silenceMs));

/** Answers each connection with these pieces, then ends it. */
async function serve(pieces: readonly (string | Buffer)[], onRequest: (text: string) => void = () => undefined) {
  const answer = async (socket: Socket): Promise<void> => {
    socket.on('error', () => undefined);
    const [request] = (await once(socket, 'data')) as [Buffer];
    onRequest(request.toString());
    for (const piece of pieces) {
      socket.write(piece);
      await sleep(5);
    }
    socket.end();
  };
  server = createServer((socket) => void answer(socket).catch(() => undefined));
  server.listen(socketPath());
  await once(server, 'listening');
}

test('a body that comes in pieces is put into the given buffer, or into one of its own', async () => {
  const body = Buffer.alloc(300_000, 'content');
  let request = '';
  const head = `HTTP/1.1 200 OK\r\nX-Version: 7\r\ncontent-le`;
  const next = Buffer.concat([Buffer.from(`ngth: ${body.length}\r\n\r\n`), body.subarray(0, 10)]);
  await serve([head, next, body.subarray(10, 200_000), body.subarray(200_000)], (text) => (request = text));
  const into = Buffer.alloc(body.length + 5);
  const answer = await read({ into });
  expect(answer.body.equals(body)).toBe(true);
  expect(into.subarray(0, body.length).equals(body)).toBe(true);
  expect(answer.body.buffer).toBe(into.buffer);
  expect(answer.headers.get('x-version')).toBe('7');
  expect(request.startsWith('GET /a?b=c HTTP/1.0\r\n')).toBe(true);
  const small = Buffer.alloc(100);
  expect((await read({ into: small })).body.equals(body)).toBe(true);
  expect(small.equals(Buffer.alloc(100))).toBe(true);
});

test('an empty body is one', async () => {
  await serve(['HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n']);
  expect((await read()).body).toHaveLength(0);
});

const errorText = '{"reason":"storage_not_found","message":"There is none."}';
test.each(['', `content-length: ${errorText.length}\r\n`])(
  'the error of the service is thrown, with "%s"',
  async (header) => {
    await serve([`HTTP/1.1 404 Not Found\r\n${header}\r\n`, errorText]);
    await expect(read({ into: Buffer.alloc(1000) })).rejects.toMatchObject({ reason: 'storage_not_found' });
  },
);

test('an error that is none of ours is internal', async () => {
  await serve(['HTTP/1.1 500 Oh\r\n\r\n', '<html>']);
  await expect(read()).rejects.toMatchObject({ reason: 'internal', message: 'The store returned 500.' });
});

test.each([
  ['is too large', ['HTTP/1.1 200 OK\r\ncontent-length: 1000001\r\n\r\n'], 'storage_damaged'],
  ['has no length', ['HTTP/1.1 200 OK\r\n\r\nabc'], 'storage_damaged'],
  ['has a negative length', ['HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n'], 'storage_damaged'],
  ['has a length that is no number', ['HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n'], 'storage_damaged'],
  ['breaks off', ['HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n', 'abc'], 'storage_unavailable'],
  ['is longer than it says', ['HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcdef'], 'storage_unavailable'],
  ['is not HTTP', ['SSH-2.0\r\n\r\n'], 'storage_unavailable'],
  ['never comes to its body', ['HTTP/1.1 200 OK\r\n', 'x: '.padEnd(9000, 'y')], 'storage_unavailable'],
  ['is an error without an end', ['HTTP/1.1 500 Oh\r\n\r\n', Buffer.alloc(200_000)], 'storage_unavailable'],
])('an answer that %s is refused', async (_what, pieces, reason) => {
  await serve(pieces);
  await expect(read()).rejects.toMatchObject({ reason });
});

test('a service that is silent, and a caller that leaves, end the call', async () => {
  server = createServer((socket) => void socket.on('error', () => undefined));
  server.listen(socketPath());
  await expect(read({}, 50)).rejects.toMatchObject({ reason: 'storage_unavailable' });
  const leaving = new AbortController();
  const left = read({ signal: leaving.signal });
  setTimeout(() => leaving.abort(new Error('left')), 20);
  await expect(left).rejects.toThrow('left');
  await expect(read({ signal: AbortSignal.abort(new Error('gone')) })).rejects.toThrow('gone');
});

test('a service that is being started is waited for', async () => {
  const answer = read();
  await sleep(60);
  await serve(['HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok']);
  expect((await answer).body.toString()).toBe('ok');
});
