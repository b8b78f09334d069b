import { expect, test } from 'vitest';
import { needs } from '../harness/needs.ts';
import { createSandbox } from '../harness/sandbox.ts';

needs('checkpoint');

test('a process that its user has stopped is still stopped after a pause, and continues on SIGCONT', async () => {
  const sandbox = await createSandbox();
  const handle = await sandbox.commands.run('sleep 600', { background: true, timeoutMs: 0 });
  await handle.disconnect();
  await sandbox.commands.run('kill -STOP $(pidof sleep)');
  const state = async (): Promise<string> =>
    (await sandbox.commands.run("sed -n 's/^State:.\\(.\\).*/\\1/p' /proc/$(pidof sleep)/status")).stdout.trim();
  expect(await state()).toBe('T');
  await sandbox.pause();
  await sandbox.connect();
  expect(await state()).toBe('T');
  await sandbox.commands.run('kill -CONT $(pidof sleep)');
  expect(await state()).toBe('S');
});
