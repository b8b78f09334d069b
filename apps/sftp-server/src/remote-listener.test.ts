/** @module-tag violation */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { buffer, text } from 'node:stream/consumers';
import { afterEach, expect, test } from 'vitest';

const main = join(import.meta.dirname, 'remote-listener.ts');
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

const dial = (port: number, host = '127.0.0.1'): Socket =>
  connect({ port, host, allowHalfOpen: true }).on('error', () => undefined);

/** Resolves when the other side has ended the connection, in whatever way. */
async function ended(socket: Socket): Promise<void> {
  await new Promise((resolve) => socket.resume().once('end', resolve).once('close', resolve));
  socket.destroy();
}

function start(port: number) {
  const child = spawn(process.execPath, [main, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  return child;
}

async function open() {
  const child = start(0);
  const exit = once(child, 'exit');
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  expect(line).toMatch(/^\d+ \d+ [\da-f]{32}$/);
  const [door = '', port = '', token = ''] = line.split(' ');
  return { child, exit, door: Number(door), port: Number(port), token };
}

async function openControlled() {
  const opened = await open();
  const control = dial(opened.door);
  control.write(`${opened.token}\n`);
  const lines = createInterface(control)[Symbol.asyncIterator]();
  const next = async (): Promise<string[]> => String((await lines.next()).value).split(' ');
  expect(await next()).toEqual(['ready']);
  return { ...opened, control, next };
}

test('a client is announced, and its bytes pass in both directions with their ends', async () => {
  const { port, door, token, next, control, exit } = await openControlled();
  for (const [at, address] of ['127.0.0.1', '::1'].entries()) {
    const client = dial(port, address);
    client.write('early ');
    const [id = '', shown, from] = await next();
    expect([id, shown, from]).toEqual([String(at + 1), address, String((client.address() as AddressInfo).port)]);
    const fetched = dial(door);
    fetched.write(`${token} ${id}\nfirst `);
    client.end('late');
    expect(await text(fetched)).toBe('early late');
    const sent = Buffer.alloc(3_000_000, 'x');
    fetched.end(sent);
    expect((await buffer(client)).equals(Buffer.concat([Buffer.from('first '), sent]))).toBe(true);
  }
  control.destroy();
  expect(await exit).toEqual([0, null]);
});

test('it ends with its control connection, after the connections in use', async () => {
  const { port, door, token, next, control, exit } = await openControlled();
  const [used, waiting] = [dial(port), dial(port)];
  const [id = ''] = await next();
  await next();
  const fetched = dial(door);
  fetched.write(`${token} ${id}\n`);
  used.write('x');
  await once(fetched, 'data');
  const refused = ended(waiting);
  control.destroy();
  await refused;
  await ended(dial(port));
  fetched.write('y');
  expect(String(await once(used, 'data'))).toBe('y');
  fetched.destroy();
  await ended(used);
  expect(await exit).toEqual([0, null]);
});

test.each([
  ['nothing', ''],
  ['another token', `${'0'.repeat(32)}\n`],
  ['a long line', 'x'.repeat(1000)],
])('who shows %s at the door has no control, and gets no connection', async (_what, line) => {
  const { port, door } = await open();
  const stranger = dial(door);
  stranger.write(line);
  if (line !== '') await ended(stranger);
  await ended(dial(port));
  stranger.destroy();
});

test('a second control connection, a client that does not exist and a refused one are closed', async () => {
  const { port, door, token, next, control } = await openControlled();
  for (const line of [token, `${token} 7`, `${token} 1 2`]) {
    const other = dial(door);
    other.write(`${line}\n`);
    await ended(other);
  }
  const client = dial(port);
  const [id = ''] = await next();
  control.write(`${id}\n`);
  await ended(client);
});

test('a port that is taken or out of range ends it', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  for (const port of [(taken.address() as AddressInfo).port, 70_000, Number.NaN])
    expect((await once(start(port), 'exit'))[0]).toBe(3);
  taken.close();
});
