import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { startTicksOf } from './process-identity.ts';

test('a process keeps its start time, and has none once it ended', async () => {
  const child = spawn('sleep', ['600'], { stdio: 'ignore' });
  const pid = child.pid ?? 0;
  const ticks = startTicksOf(pid);
  expect(ticks).toBeGreaterThan(0);
  expect(startTicksOf(pid)).toBe(ticks);
  child.kill('SIGKILL');
  await once(child, 'close');
  expect(startTicksOf(pid)).toBeUndefined();
});

test('a name with spaces and parentheses does not mislead', async () => {
  const script = `import ctypes,time; ctypes.CDLL(None).prctl(15, b') Z (x) 1 2'); print('named', flush=True); time.sleep(60)`;
  const child = spawn('python3', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  await once(child.stdout, 'data');
  expect(startTicksOf(child.pid ?? 0)).toBeGreaterThan(0);
  child.kill('SIGKILL');
  await once(child, 'close');
});

test.each([0, -1, 4_194_305, Number.NaN])('%d is no process', (pid) => {
  expect(startTicksOf(pid)).toBeUndefined();
});
