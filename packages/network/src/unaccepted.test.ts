import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startLabNamespace } from './testing/test-lab.ts';
import type { LabNamespace } from './testing/test-lab.ts';
import { closeUnaccepted, hasUnaccepted } from './unaccepted.ts';

/** Listens, and then waits without accepting. */
const deafServer = `
const server = require('node:net').createServer().listen(7100, '127.0.0.1', () => {
  require('node:fs').writeSync(1, 'listening');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});`;

let sandbox: LabNamespace;
let deaf: ChildProcess;

beforeAll(async () => {
  sandbox = await startLabNamespace();
  await sandbox.ip('link set lo up\n');
  await sandbox.ask({ op: 'listen', host: '127.0.0.1', port: 7000 });
  const child = spawn('nsenter', [`--net=${sandbox.path}`, process.execPath, '-e', deafServer]);
  await once(child.stdout, 'data');
  deaf = child;
});

afterAll(async () => {
  deaf.kill('SIGKILL');
  await sandbox.stop();
});

test('connections are reset if no process has accepted them, and only these', async () => {
  await sandbox.ask({ op: 'hold', name: 'accepted', host: '127.0.0.1', port: 7000 });
  expect(hasUnaccepted(sandbox.path)).toBe(false);
  expect(await sandbox.ask({ op: 'hold', name: 'waiting', host: '127.0.0.1', port: 7100 })).toBe('timeout');
  expect(hasUnaccepted(sandbox.path)).toBe(true);
  expect(closeUnaccepted(sandbox.path)).toBe(1);
  expect(await sandbox.ask({ op: 'ping', name: 'waiting' })).toMatch(/ECONNRESET|closed/);
  expect(await sandbox.ask({ op: 'ping', name: 'accepted' })).toBe('alive');
  expect(closeUnaccepted(sandbox.path)).toBe(0);
});

test('a namespace that has ended is an error', () => {
  expect(() => hasUnaccepted('/proc/0/ns/net')).toThrow(expect.objectContaining({ reason: 'sandbox_unreachable' }));
});
