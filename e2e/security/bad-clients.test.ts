import { setTimeout as sleep } from 'node:timers/promises';

import { listHostTraces, serverDescriptors, serverMemoryMib } from '@soulbox/testing';
import { Sandbox } from 'e2b';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { expect, onTestFinished, test, type TestContext } from 'vitest';
import { createSandbox, sharedSandbox } from '../harness/sandbox.ts';
import { apiKey, server } from '../harness/server.ts';
import { until } from '../harness/until.ts';

const sandbox = sharedSandbox();

/** Concurrent tests must pass their own context. */
async function open(test: Pick<TestContext, 'onTestFinished'> = { onTestFinished }): Promise<Socket> {
  const socket = connect(server.port, '127.0.0.1');
  socket.on('error', () => undefined);
  test.onTestFinished(() => {
    socket.destroy();
  });
  await new Promise((resolve) => socket.once('connect', resolve));
  return socket;
}

const openFiles = (): number => serverDescriptors(server.pid);
const memoryMb = (): number => serverMemoryMib(server.pid);

const createHead = [
  'POST /v2/sandboxes HTTP/1.1',
  'Host: localhost',
  `X-API-Key: ${apiKey}`,
  'Content-Type: application/json',
];
const createBody = JSON.stringify({ templateID: 'base', timeout: 300, metadata: { test: 'disconnect' } });
const createRequest = [...createHead, `Content-Length: ${String(createBody.length)}`, '', createBody].join('\r\n');

test('a client that disconnects at any step of a create leaves no sandbox outside the list', async () => {
  for (let step = 0; step < 12; step++) {
    const socket = await open();
    // A part of the request, the whole request, and then longer and longer waits before the disconnect.
    const part = step < 4 ? createRequest.slice(0, Math.floor((createRequest.length * (step + 1)) / 5)) : createRequest;
    socket.write(part);
    await sleep(step < 4 ? 20 : (step - 4) * 8);
    socket.destroy();
  }
  await sleep(1000);
  // Every created sandbox is listed, so that its team can find and end it.
  const listed = await Sandbox.list({ query: { metadata: { test: 'disconnect' } } }).nextItems();
  for (const { sandboxId } of listed) expect(await Sandbox.kill(sandboxId)).toBe(true);
  for (const { sandboxId } of listed) {
    await until('no trace', async () => !(await listHostTraces(server.instance)).join('\n').includes(sandboxId));
  }
  expect((await sandbox().commands.run('echo fine')).stdout).toBe('fine\n');
}, 60_000);

// Concurrently, because both wait for a time limit of the server.
test.concurrent('a head that arrives byte by byte is cut off in time, and others are served meanwhile', async (context) => {
  const socket = await open(context);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.resume();
  const timer = setInterval(() => {
    if (socket.writable) socket.write('x');
  }, 500);
  context.onTestFinished(() => clearInterval(timer));
  socket.write('GET /health HTTP/1.1\r\nX-Slow: ');
  expect((await sandbox().commands.run('echo served')).stdout).toBe('served\n');
  const startedAt = Date.now();
  await closed;
  expect(Date.now() - startedAt).toBeLessThan(40_000);
}, 60_000);

test.concurrent('an endless create body is cut off in time', async (context) => {
  const socket = await open(context);
  let reply = '';
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('data', (data) => (reply += data.toString()));
  socket.write([...createHead, 'Content-Length: 1000', '', '{'].join('\r\n'));
  await closed;
  if (reply !== '') expect(reply).toMatch(/^HTTP\/1\.1 4\d\d /);
}, 90_000);

test('a client that does not read an endless response does not fill the memory of the server', async () => {
  const before = memoryMb();
  await sandbox().commands.run('head -c 800000000 /dev/zero > /home/user/huge', { timeoutMs: 60_000 });
  const url = new URL(await sandbox().downloadUrl('/home/user/huge'));
  const sockets = await Promise.all(
    Array.from({ length: 5 }, async () => {
      const socket = await open();
      socket.pause();
      socket.write(`GET ${url.pathname}${url.search} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      return socket;
    }),
  );
  await sleep(3000);
  expect(memoryMb() - before).toBeLessThan(150);
  expect((await sandbox().commands.run('echo fine')).stdout).toBe('fine\n');
  for (const socket of sockets) socket.destroy();
  await sandbox().files.remove('/home/user/huge');
}, 90_000);

test('a client that does not read the output of a command does not fill the memory of envd', async () => {
  const other = await createSandbox();
  const token = (other as unknown as { envdAccessToken: string }).envdAccessToken;
  const json = JSON.stringify({ process: { cmd: '/bin/sh', args: ['-c', 'cat /dev/zero'] } });
  const body = Buffer.concat([Buffer.alloc(5), Buffer.from(json)]);
  body.writeUInt32BE(Buffer.byteLength(json), 1);
  const socket = await open();
  socket.pause();
  const head = [
    'POST /process.Process/Start HTTP/1.1',
    'Host: localhost',
    `E2b-Sandbox-Id: ${other.sandboxId}`,
    'E2b-Sandbox-Port: 49983',
    `X-Access-Token: ${token}`,
    'Content-Type: application/connect+json',
    'Connect-Protocol-Version: 1',
    `Content-Length: ${String(body.length)}`,
  ];
  socket.write(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]));
  await sleep(3000);
  const rss = async (): Promise<number> =>
    Number((await other.commands.run(`awk '/VmRSS/ { print $2 }' /proc/1/status`, { user: 'root' })).stdout);
  expect(await rss()).toBeLessThan(200_000);
  socket.destroy();
  expect((await other.commands.run('echo fine')).stdout).toBe('fine\n');
}, 60_000);

test('five hundred idle connections need little memory and are closed in time', async () => {
  const before = openFiles();
  const sockets = await Promise.all(Array.from({ length: 500 }, async () => await open()));
  expect((await sandbox().commands.run('echo fine')).stdout).toBe('fine\n');
  for (const socket of sockets) socket.destroy();
  await until('their descriptors', () => openFiles() < before + 50);
});

test('dropped streams are released, and their commands continue', async () => {
  const before = openFiles();
  for (let round = 0; round < 20; round++) {
    const handle = await sandbox().commands.run('sleep 30', { background: true });
    await handle.disconnect();
  }
  expect((await sandbox().commands.list()).length).toBeGreaterThanOrEqual(20);
  await sandbox().commands.run('pkill -x sleep');
  await until('their descriptors', () => openFiles() < before + 50);
});
