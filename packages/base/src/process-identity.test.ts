import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { findProcess, isRunning } from './process-identity.ts';

test('a running process is found and keeps its identity', () => {
  const self = findProcess(process.pid);
  expect(self?.pid).toBe(process.pid);
  expect(self !== undefined && isRunning(self)).toBe(true);
});

test('the same pid with another start time is another process', () => {
  const self = findProcess(process.pid);
  expect(isRunning({ pid: process.pid, startTicks: (self?.startTicks ?? 0) + 1 })).toBe(false);
});

test('a process that ended is not running', async () => {
  const child = spawn('sleep', ['60']);
  const identity = findProcess(child.pid ?? 0);
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(identity).toBeDefined();
  expect(identity !== undefined && isRunning(identity)).toBe(false);
});

test('a program name with spaces and parentheses is parsed correctly', async () => {
  const script = `import ctypes,time; ctypes.CDLL(None).prctl(15, b') Z (x) 1 2'); print('named', flush=True); time.sleep(60)`;
  const child = spawn('python3', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  await once(child.stdout, 'data');
  expect(findProcess(child.pid ?? 0)?.startTicks).toBeGreaterThan(0);
  child.kill('SIGKILL');
  await once(child, 'close');
});

test.each([0, -1, 4_194_305, Number.NaN])('no process has pid %d', (pid) => {
  expect(findProcess(pid)).toBeUndefined();
});
