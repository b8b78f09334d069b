import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { sharedSandbox } from '../harness/sandbox.ts';

const sandbox = sharedSandbox();

test('50 MB of output arrive completely', async () => {
  const size = 50 * 1024 * 1024;
  let received = 0;
  const result = await sandbox().commands.run(`head -c ${String(size)} /dev/zero | tr '\\0' x`, {
    timeoutMs: 120_000,
    onStdout: (text) => {
      received += text.length;
    },
  });
  expect(received).toBe(size);
  expect(result.stdout).toHaveLength(size);
}, 120_000);

test('200 commands at once each get their own output', async () => {
  const results = await Promise.all(
    Array.from({ length: 200 }, async (_, index) => await sandbox().commands.run(`echo number ${String(index)}`)),
  );
  expect(results.map(({ stdout }) => stdout)).toEqual(results.map((_, index) => `number ${String(index)}\n`));
}, 120_000);

test('no zombie is left, not even of orphaned processes', async () => {
  await sandbox().commands.run('(sleep 0.1 &) ; for i in $(seq 50); do (true &); done; sleep 0.3');
  const { stdout } = await sandbox().commands.run(`ps -eo stat= | grep -c '^Z' || true`);
  expect(stdout).toBe('0\n');
});

test('a slow reader gets everything', async () => {
  let received = 0;
  await sandbox().commands.run(`head -c 3000000 /dev/zero | tr '\\0' x`, {
    onStdout: async (text) => {
      received += text.length;
      await sleep(5);
    },
  });
  expect(received).toBe(3_000_000);
});

test('a command whose child keeps the output open ends when the output is closed', async () => {
  const { stdout } = await sandbox().commands.run('(sleep 0.5; echo child) & echo parent');
  expect(stdout).toBe('parent\nchild\n');
});
