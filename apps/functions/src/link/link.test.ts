import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '@soulbox/base';
import { loadConfig } from '@soulbox/base/config';
import { silentLogger } from '@soulbox/base/logger';
import { ensureDefaultTeam, openDiskBlobs, openSqliteRecords } from '@soulbox/storage';
import { newRecordsFile } from '@soulbox/storage/testing';
import { functionsConfigSchema } from '../config.ts';
import type { FunctionsContext } from '../context.ts';
import { createLogBook } from '../log/log-book.ts';
import { createLinks } from '../links.ts';
import type { Links } from '../links.ts';
import { createLinkHandler } from './serve-link.ts';

/** A host with room for every value. */
async function* holdHostRoom(): AsyncGenerator<object> {
  yield await Promise.resolve({});
}

// A local server replaces the sandbox; records, blobs and both ends of HTTP/2 are real.
let cleanup: AsyncDisposableStack;
let context: FunctionsContext;
let links: Links;
let broken: string[];
let session: ClientHttp2Session;
let sandboxSide: Socket;

beforeEach(async () => {
  cleanup = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-link-'));
  cleanup.defer(() => rm(folder, { recursive: true }));
  newRecordsFile(join(folder, 'records.sqlite'));
  const records = cleanup.use(openSqliteRecords(join(folder, 'records.sqlite')));
  const blobs = cleanup.use(await openDiskBlobs({ directory: join(folder, 'blobs') }));
  const team = await ensureDefaultTeam(records);
  const sandbox = createServer();
  sandbox.listen(0, '127.0.0.1');
  await once(sandbox, 'listening');
  cleanup.defer(() => void sandbox.close());
  const { port } = sandbox.address() as AddressInfo;
  broken = [];
  const router = {
    dial: async () => {
      const socket = connect(port, '127.0.0.1');
      await once(socket, 'connect');
      return socket;
    },
  } as unknown as FunctionsContext['router'];
  links = createLinks(router, silentLogger, (sandboxId) => broken.push(sandboxId));
  cleanup.defer(() => links.closeAll());
  const config = loadConfig(
    functionsConfigSchema,
    {},
    { kvValueMaxBytes: 1000, kvKeyLimit: 3, kvNamespaceMaxBytes: 2500 },
  );
  const runner = { holdHostRoom } as unknown as FunctionsContext['runner'];
  const parts = { config, records, blobs, clock: systemClock, logger: silentLogger, logBook: createLogBook(), runner };
  context = { ...parts, teamKvBytes: 1_000_000, arriving: new Map() } as unknown as FunctionsContext;
  const owner = { id: 'f1', teamId: team.id, kvBindings: { STORE: 'mine' } };
  const accepted = once(sandbox, 'connection');
  expect(await links.open('ia', createLinkHandler(context, owner, 'ia'))).toBe(true);
  [sandboxSide] = (await accepted) as [Socket];
  session = connectHttp2('http://host', { createConnection: () => sandboxSide });
  session.on('error', () => undefined);
  cleanup.defer(() => session.destroy());
});
afterEach(() => cleanup.disposeAsync());

interface Reply {
  readonly status: number;
  readonly metadata: unknown;
  readonly body: string;
}

async function ask(method: string, path: string, body = '', headers: Record<string, string> = {}): Promise<Reply> {
  const stream = session.request({ ':method': method, ':path': path, ...headers }, { endStream: false });
  stream.setEncoding('utf8');
  let text = '';
  stream.on('data', (piece: string) => (text += piece));
  stream.end(body);
  const [answer] = (await once(stream, 'response')) as [Record<string, unknown>];
  if (!stream.readableEnded) await once(stream, 'end');
  return { status: Number(answer[':status']), metadata: answer['cf-kv-metadata'], body: text };
}

describe('over its link a sandbox', () => {
  test('writes, reads, lists and deletes values of its own namespaces', async () => {
    expect((await ask('GET', '/kv/STORE/a?urlencoded=true')).status).toBe(404);
    const put = await ask('PUT', '/kv/STORE/a%20b?urlencoded=true&expiration_ttl=60', 'value', {
      'cf-kv-metadata': '{"m":1}',
    });
    expect(put.status).toBe(200);
    expect(await ask('GET', '/kv/STORE/a%20b')).toEqual({ status: 200, metadata: '{"m":1}', body: 'value' });
    expect(JSON.parse((await ask('GET', '/kv/STORE/?key_count_limit=1')).body)).toMatchObject({
      ...{ keys: [{ name: 'a b', metadata: { m: 1 } }], list_complete: true },
    });
    expect((await ask('DELETE', '/kv/STORE/a%20b')).status).toBe(200);
    expect((await ask('GET', '/kv/STORE/a%20b')).status).toBe(404);
    expect(await context.blobs.list('')).toEqual([]);
  });

  test('finds no other namespace and no other path', async () => {
    for (const path of [
      '/kv/OTHER/a',
      '/kv/constructor/a',
      '/kv/__proto__/a',
      '/kv/',
      '/kv/STORE',
      '/',
      '/kv/../x',
      '/kv/STORE%2F/a',
    ])
      expect((await ask('GET', path)).status).toBe(404);
  });

  test.each([
    ['PUT', '/kv/STORE/a', 'x'.repeat(1001), 413],
    ['PUT', `/kv/STORE/${'k'.repeat(513)}`, '', 400],
    ['PUT', '/kv/STORE/a?expiration_ttl=1', '', 400],
    ['PATCH', '/kv/STORE/a', '', 400],
    ['GET', '/kv/STORE/?key_count_limit=0', '', 400],
    ['GET', '/kv/STORE/?key_count_limit=5000', '', 400],
    ['POST', '/kv/STORE/bulk/get', '{"keys":5}', 400],
    ['POST', '/kv/STORE/bulk/get', 'x', 400],
  ])('is refused: %s %s', async (method, path, body, status) => {
    expect((await ask(method, path, body)).status).toBe(status);
    expect(await context.blobs.list('')).toEqual([]);
  });

  test('fills a namespace up to its limits and no further', async () => {
    for (const key of ['a', 'b']) expect((await ask('PUT', `/kv/STORE/${key}`, 'x'.repeat(1000))).status).toBe(200);
    expect((await ask('PUT', '/kv/STORE/c', 'x'.repeat(501))).status).toBe(429);
    expect((await ask('PUT', '/kv/STORE/c', 'x')).status).toBe(200);
    expect((await ask('PUT', '/kv/STORE/d', 'x')).status).toBe(429);
    expect(await context.blobs.list('')).toHaveLength(3);
  });

  test('leaves nothing of an incomplete value', async () => {
    const stream = session.request({ ':method': 'PUT', ':path': '/kv/STORE/a' });
    stream.on('error', () => undefined);
    stream.write('half');
    await sleep(50);
    stream.close(8);
    await expect.poll(() => context.blobs.list('')).toEqual([]);
    expect((await ask('GET', '/kv/STORE/a')).status).toBe(404);
  });

  test('reads at most 16 values at the same time; others wait, and those that are given up do not count', async () => {
    expect((await ask('PUT', '/kv/STORE/a', 'value')).status).toBe(200);
    let begun = 0;
    const read = context.blobs.read.bind(context.blobs);
    context.blobs.read = async (key, range) => {
      begun += 1;
      return await read(key, range);
    };
    // Nothing of a body is taken.
    session.settings({ initialWindowSize: 0 });
    await once(session, 'localSettings');
    const start = (): ClientHttp2Stream => {
      const stream = session.request({ ':path': '/kv/STORE/a' });
      stream.on('error', () => undefined);
      return stream;
    };
    const first = Array.from({ length: 16 }, start);
    await expect.poll(() => begun).toBe(16);
    const givenUp = Array.from({ length: 10 }, start);
    await sleep(100);
    for (const stream of givenUp) stream.close(8);
    const answer = once(start(), 'response');
    await sleep(100);
    expect(begun).toBe(16);
    for (const stream of first) stream.close(8);
    expect((await answer)[0]).toMatchObject({ ':status': 200 });
    expect(begun).toBe(17);
  });

  test('sends its log', async () => {
    const line = JSON.stringify({ seq: 1, atMs: 1, level: 'info', source: 'console', message: 'said' });
    expect((await ask('POST', '/logs', `${line}\nnonsense\n`)).status).toBe(204);
    expect(context.logBook.read('f1', 0, 10)).toMatchObject([{ message: 'said' }]);
  });

  test('that does not speak HTTP/2 loses its link, without harm to the host', async () => {
    session.destroy();
    await expect.poll(() => broken).toEqual(['ia']);
    expect(links.has('ia')).toBe(false);
  });
});

test('a link that the host closes is not reported as broken', async () => {
  links.close('ia');
  await once(sandboxSide, 'close');
  expect(broken).toEqual([]);
});
