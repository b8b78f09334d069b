import { expect, test } from 'vitest';
import { runHostTool } from './host-tool.ts';

const halfway = ['-c', 'echo ready; read -r line && [ "$line" = go ]'];
const options = { directory: '/', traceName: 'soulbox-test-tool' };

test('a tool that stops halfway goes on when it is told to', async () => {
  const pids: number[] = [];
  await runHostTool('sh', halfway, {
    ...options,
    whenReady: (pid) => {
      pids.push(pid);
      return Promise.resolve();
    },
  });
  expect(pids).toEqual([expect.any(Number)]);
});

test('a tool that is not let go on is killed, and the reason is the result', async () => {
  const refused = runHostTool('sh', ['-c', 'echo ready; exec sleep 60'], {
    ...options,
    whenReady: () => Promise.reject(new Error('not today')),
  });
  await expect(refused).rejects.toThrow('not today');
});

test.each([
  ['before it is ready', ['-c', 'echo why >&2; exit 3'], 'exit 3): why'],
  ['while it waits', ['-c', 'echo ready; exit 4'], 'exit 4'],
  ['with a signal', ['-c', 'echo ready; kill -KILL $$'], 'SIGKILL'],
])('a tool that ends %s has failed', async (_, args, message) => {
  const failed = runHostTool('sh', args, { ...options, whenReady: () => Promise.resolve() });
  await expect(failed).rejects.toThrow(message);
});

test('a program that is not there has failed', async () => {
  const failed = runHostTool('/nowhere', [], { ...options, whenReady: () => Promise.resolve() });
  await expect(failed).rejects.toThrow('ENOENT');
});
