import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { startLabNamespace } from './testing/test-lab.ts';
import type { LabNamespace } from './testing/test-lab.ts';
import { closeUnaccepted, hasUnaccepted } from './unaccepted.ts';

/** Listens, and accepts nothing before it gets a line. */
const deafServer = `
const { readSync, writeSync } = require('node:fs');
require('node:net').createServer(() => undefined).listen(JSON.parse(process.argv[1]), () => {
  writeSync(1, 'listening');
  readSync(0, Buffer.alloc(1));
});`;

/** Connects, and sends something when it gets a line. */
const client = `
const socket = require('node:net').connect(JSON.parse(process.argv[1]), () => {
  process.stdout.write('connected');
  process.stdin.once('data', () => socket.write('early', () => process.stdout.write('sent')));
});`;

let sandbox: LabNamespace;

beforeAll(async () => {
  sandbox = await startLabNamespace();
  await sandbox.ip('link set lo up\n');
  await sandbox.ask({ op: 'listen', host: '127.0.0.1', port: 7000 });
});

afterAll(async () => {
  await sandbox.stop();
});

async function start(program: string, address: object): Promise<ChildProcessWithoutNullStreams> {
  const inside = [`--net=${sandbox.path}`, process.execPath, '-e', program, JSON.stringify(address)];
  const child = spawn('nsenter', inside);
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child;
}

test('TCP connections are reset if no process has accepted them, and only these', async () => {
  await start(deafServer, { host: '127.0.0.1', port: 7100 });
  await sandbox.ask({ op: 'hold', name: 'accepted', host: '127.0.0.1', port: 7000 });
  expect(hasUnaccepted(sandbox.path)).toBe(false);
  expect(await sandbox.ask({ op: 'hold', name: 'waiting', host: '127.0.0.1', port: 7100 })).toBe('timeout');
  expect(hasUnaccepted(sandbox.path)).toBe(true);
  expect(closeUnaccepted(sandbox.path)).toBe(1);
  expect(await sandbox.ask({ op: 'ping', name: 'waiting' })).toMatch(/ECONNRESET|closed/);
  expect(await sandbox.ask({ op: 'ping', name: 'accepted' })).toBe('alive');
  expect(closeUnaccepted(sandbox.path)).toBe(0);
});

test('a Unix connection counts if its client has sent something and no process has accepted it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'unaccepted-'));
  onTestFinished(async () => {
    await removeTree(folder);
  });
  const address = { path: join(folder, 'socket') };
  const server = await start(deafServer, address);
  const sender = await start(client, address);
  expect(hasUnaccepted(sandbox.path)).toBe(false);
  sender.stdin.write('\n');
  await once(sender.stdout, 'data');
  expect(hasUnaccepted(sandbox.path)).toBe(true);
  expect(closeUnaccepted(sandbox.path)).toBe(0);
  server.stdin.write('\n');
  await expect.poll(() => hasUnaccepted(sandbox.path)).toBe(false);
});

test('a namespace that has ended is an error', () => {
  expect(() => hasUnaccepted('/proc/0/ns/net')).toThrow(expect.objectContaining({ reason: 'sandbox_unreachable' }));
});
