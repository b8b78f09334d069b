import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '@soulbox/base';
import { afterAll, expect, test, vi } from 'vitest';
import { openCgroups } from '../cgroup/open-cgroups.ts';
import { listPids } from '../cgroup/tree.ts';
import { testInstance } from '../container/testing/test-instance.ts';
import { toolGroupParent } from './names.ts';
import { endHostTools, outwaitHostTools, runHostTool, toolsOf } from './host-tool.ts';

const cgroups = openCgroups();
const tools = toolsOf({ instance: testInstance, cgroups }, 'itool');
afterAll(() => cgroups.remove(toolGroupParent(testInstance)));

const halfway = ['-c', 'echo ready; read -r line && [ "$line" = go ]'];
const options = { directory: '/', tools };

test('a tool that stops halfway continues when it gets a line', async () => {
  const pids: number[] = [];
  await runHostTool('sh', halfway, {
    ...options,
    onLine: (pid) => {
      pids.push(pid);
      return Promise.resolve();
    },
  });
  expect(pids).toEqual([expect.any(Number)]);
});

test('for a tool that stops twice, the callback runs each time, in order', async () => {
  const said: string[] = [];
  await runHostTool('sh', ['-c', 'echo one; read -r a; echo "two $a"; read -r b; [ "$a$b" = gogo ]'], {
    ...options,
    onLine: (_, line) => Promise.resolve(void said.push(line)),
  });
  expect(said).toEqual(['one', 'two go']);
});

test('a killed tool fails at once, even if its children hold its streams', async () => {
  const startedAt = performance.now();
  const failed = runHostTool('sh', ['-c', 'sleep 60 & echo ready; read -r a; kill -KILL $$'], {
    ...options,
    onLine: () => Promise.resolve(),
  });
  await expect(failed).rejects.toThrow('SIGKILL');
  expect(performance.now() - startedAt).toBeLessThan(5000);
  await endHostTools(tools);
});

test('a tool whose callback rejects is killed, and the error is the result', async () => {
  const refused = runHostTool('sh', ['-c', 'echo ready; exec sleep 60'], {
    ...options,
    onLine: () => Promise.reject(new Error('not today')),
  });
  await expect(refused).rejects.toThrow('not today');
});

test.each([
  ['before it is ready', ['-c', 'echo why >&2; exit 3'], 'exit 3): why'],
  ['while it waits', ['-c', 'echo ready; exit 4'], 'exit 4'],
  ['with a signal', ['-c', 'echo ready; kill -KILL $$'], 'SIGKILL'],
])('a tool that ends %s has failed', async (_, args, message) => {
  const failed = runHostTool('sh', args, { ...options, onLine: () => Promise.resolve() });
  await expect(failed).rejects.toThrow(message);
});

test('a missing program has failed', async () => {
  const failed = runHostTool('/proc/nowhere', [], { ...options, onLine: () => Promise.resolve() });
  await expect(failed).rejects.toThrow('/proc/nowhere');
});

test('the running tools of a dead server are found by their group alone, including children, and nothing else is', async () => {
  const other = toolsOf({ instance: testInstance, cgroups }, 'iother');
  const left = runHostTool('sh', ['-c', 'sleep 4711 & sleep 4712 & wait'], options).catch(() => 'ended');
  const others = runHostTool('sleep', ['4713'], { directory: '/', tools: other }).catch(() => 'ended');
  await vi.waitUntil(async () => (await listPids(tools.folder)).length === 3);
  await vi.waitUntil(async () => (await listPids(other.folder)).length === 1);
  // A mark in its environment does not make a process a tool: a sandbox can set one.
  const stranger = spawn('sleep', ['4714'], { env: { SOULBOX_TOOL_FOR: tools.traceName }, stdio: 'ignore' });
  await endHostTools(tools);
  expect(await left).toBe('ended');
  expect(existsSync(tools.folder)).toBe(false);
  expect(await listPids(other.folder)).toHaveLength(1);
  expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
  stranger.kill('SIGKILL');
  await once(stranger, 'exit');
  await endHostTools(other);
  expect(await others).toBe('ended');
});

test('the wait for running tools ends when they end, or at the timeout', async () => {
  const tool = runHostTool('sleep', ['0.3'], options);
  await vi.waitUntil(async () => (await listPids(tools.folder)).length === 1);
  expect(await outwaitHostTools(tools, 50)).toBe(false);
  expect(await outwaitHostTools(tools, 5000)).toBe(true);
  await tool;
});

test('ending tools costs the same for any number of host processes', async () => {
  const crowd = spawn('sh', ['-c', 'for n in $(seq 400); do sleep 600 & done; wait'], {
    stdio: 'ignore',
    detached: true,
  });
  await sleep(500);
  const startedAt = performance.now();
  for (let n = 0; n < 50; n++) await endHostTools(tools);
  const eachMs = (performance.now() - startedAt) / 50;
  await run('pkill', ['-KILL', '-g', String(crowd.pid)]);
  expect(eachMs).toBeLessThan(5);
});
