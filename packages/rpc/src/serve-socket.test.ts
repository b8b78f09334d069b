import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Code, createClient } from '@connectrpc/connect';
import type { Client } from '@connectrpc/connect';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { RunnerService } from '@soulbox/contract/runner';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Door } from './serve-socket.ts';
import { serveSocket } from './serve-socket.ts';
import { createSocketTransport } from './socket-transport.ts';

let folder: string;
let path: string;
let runner: Client<typeof RunnerService>;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rpc-'));
  path = join(folder, 'a.sock');
  runner = createClient(RunnerService, createSocketTransport(path));
});
afterEach(async () => await removeTree(folder));

const ownUid = process.getuid?.() ?? -1;
const everyone: Door = {
  name: 'everyone',
  admits: () => true,
  routes: (router) =>
    router.service(RunnerService, {
      getPool: () => ({ ready: 7 }),
      async *watchEvents(_request, { signal }) {
        yield { event: { case: 'snapshotDone', value: {} } };
        await once(signal, 'abort');
      },
      getHostDisk: async (_request, { signal }) => {
        await once(signal, 'abort');
        return {};
      },
    }),
};

const serve = async (...doors: readonly Door[]): Promise<AsyncDisposable> =>
  await serveSocket({ path, doors, logger: silentLogger });

const codeOf = async (work: Promise<unknown>): Promise<Code | undefined> =>
  await work.then(
    () => undefined,
    (thrown: unknown) => (thrown as { code: Code }).code,
  );

test('a call is answered, and only the socket’s own user can access it', async () => {
  await using _server = await serve(everyone);
  expect((await runner.getPool({})).ready).toBe(7);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test('many calls at once share one connection', async () => {
  let connections = 0;
  await using _server = await serve({ ...everyone, admits: () => ++connections > 0 });
  await Promise.all(Array.from({ length: 500 }, async () => await runner.getPool({})));
  expect(connections).toBe(1);
});

test('the uid of the peer selects its door, which has no services of other doors', async () => {
  const other: Door = { name: 'other', admits: ({ uid }) => uid === ownUid, routes: () => undefined };
  await using _server = await serve(
    { ...everyone, admits: ({ uid, pid }) => uid !== ownUid && pid === process.pid },
    other,
  );
  expect(await codeOf(runner.getPool({}))).toBe(Code.Unimplemented);
});

test('a peer that no door admits is disconnected', async () => {
  await using _server = await serve({ ...everyone, admits: () => false });
  expect(await codeOf(runner.getPool({}))).toBe(Code.Unavailable);
});

test.skipIf(ownUid !== 0)('another user is told apart from root, whatever the file modes allow', async () => {
  const seen: number[] = [];
  const admits: Door['admits'] = ({ uid }) => {
    seen.push(uid);
    return uid === 0;
  };
  await using _server = await serve({ ...everyone, admits });
  await chmod(folder, 0o711);
  await chmod(path, 0o666);
  const script = `const s = require('node:net').connect(${JSON.stringify(path)}); s.on('error', () => {}); s.on('close', () => console.log('closed'))`;
  const child = spawn(process.execPath, ['-e', script], { uid: 12345, gid: 12345, cwd: '/' });
  const [told] = (await once(child.stdout, 'data')) as [Buffer];
  expect(told.toString()).toBe('closed\n');
  expect(seen).toEqual([12345]);
});

test('a process that is away is unavailable at once, and is reached as soon as it is back', async () => {
  expect(await codeOf(runner.getPool({}))).toBe(Code.Unavailable);
  {
    await using _server = await serve(everyone);
    expect((await runner.getPool({})).ready).toBe(7);
  }
  expect(await codeOf(runner.getPool({}))).toBe(Code.Unavailable);
  await using _server = await serve(everyone);
  expect((await runner.getPool({})).ready).toBe(7);
});

test('calls and streams in progress become unavailable when the other process dies', async () => {
  const script = `const server = require('node:net').createServer();
    server.on('connection', (socket) => socket.on('data', () => console.log('called')));
    server.listen(${JSON.stringify(path)}, () => console.log('ready'))`;
  const child = spawn(process.execPath, ['-e', script]);
  await once(child.stdout, 'data');
  const call = codeOf(runner.getHostDisk({}));
  await once(child.stdout, 'data');
  const stream = codeOf(runner.watchEvents({})[Symbol.asyncIterator]().next());
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  expect([await call, await stream]).toEqual([Code.Unavailable, Code.Unavailable]);
});

test('a stream that breaks is told apart from a stream that ends', async () => {
  const server = await serve(everyone);
  const events = runner.watchEvents({})[Symbol.asyncIterator]();
  expect((await events.next()).value).toMatchObject({ event: { case: 'snapshotDone' } });
  const next = codeOf(events.next());
  await server[Symbol.asyncDispose]();
  expect(await next).toBe(Code.Unavailable);
});

test('a complete stream gives its connection back, although its reader left before the end', async () => {
  const brief: Door = {
    name: 'brief',
    admits: () => true,
    maxConnections: 3,
    routes: (router) =>
      router.service(RunnerService, {
        async *watchEvents() {
          yield await Promise.resolve({ event: { case: 'snapshotDone' as const, value: {} } });
        },
      }),
  };
  await using _server = await serve(brief);
  for (let round = 0; round < 10; round++) {
    const read = async (): Promise<string | undefined> => {
      for await (const { event } of runner.watchEvents({})) return event.case;
      return undefined;
    };
    // The connection of the round before may close a moment after its last message.
    await expect.poll(async () => await read().catch(String)).toBe('snapshotDone');
  }
});
