import { randomBytes } from 'node:crypto';
import { Sandbox } from 'e2b';
import { expect, test } from 'vitest';
import { skipWithout } from '../harness/needs.ts';
import { createSandbox } from '../harness/sandbox.ts';
import '../harness/server.ts';

/** A sandbox in which a process of `user` has a variable that was given to it alone, and a user without rights. */
async function withSecret() {
  const canary = `canary${randomBytes(10).toString('hex')}`;
  const sandbox = await createSandbox();
  await sandbox.commands.run('useradd --create-home stranger', { user: 'root' });
  const started = Promise.withResolvers<undefined>();
  const child = await sandbox.commands.run('echo "$TOKEN" | wc -c; sleep 600', {
    ...{ background: true, user: 'user', envs: { TOKEN: canary }, timeoutMs: 0 },
    onStdout: () => started.resolve(undefined),
  });
  await started.promise;
  const asStranger = async (command: string): Promise<string> =>
    (await sandbox.commands.run(`${command}; true`, { user: 'stranger' })).stdout;
  return { sandbox, child, canary, asStranger };
}

test("another user cannot read a command's variables in /proc", async (context) => {
  skipWithout('hidesEnvironments', context);
  const { canary, asStranger, child } = await withSecret();
  const read = `cat /proc/[0-9]*/environ /proc/[0-9]*/task/*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" "\\n"`;
  expect(await asStranger(read)).not.toContain(canary);
  expect(await asStranger(`head -c 1 /proc/${child.pid}/mem 2>&1`)).toMatch(/denied|not permitted/);
});

test('no file and no other process has them', async () => {
  const { sandbox, canary, asStranger } = await withSecret();
  const search = `grep -rslaF --devices=skip -- ${canary.slice(0, 10)}"${canary.slice(10)}" /home /tmp /run /var /etc /dev/shm /root /opt`;
  expect(await asStranger(search)).toBe('');
  expect((await sandbox.commands.run(`${search}; true`, { user: 'root' })).stdout).toBe('');
  expect((await sandbox.commands.run('env')).stdout).not.toContain(canary);
  expect((await sandbox.commands.run('env', { user: 'root' })).stdout).not.toContain(canary);
});

test('a program inside gets nothing from envd without the access token', async () => {
  const { canary, asStranger } = await withSecret();
  const ask = (path: string, more = ''): string =>
    `curl -s -o /tmp/answer-$$ -w "%{http_code} " ${more} http://127.0.0.1:49983${path}; cat /tmp/answer-$$`;
  const list = '-X POST -H "content-type: application/json" -d "{}"';
  const answers = await asStranger(`${ask('/envs')}; ${ask('/process.Process/List', list)}`);
  expect(answers).not.toContain(canary);
  expect(answers.match(/\b\d{3} /g)).toEqual(['401 ', '401 ']);
});

test('a sandbox of the same team, and a copy made before, do not have them', async () => {
  const { canary, sandbox } = await withSecret();
  const other = await createSandbox();
  const environments = 'env; cat /proc/[0-9]*/environ 2>/dev/null | tr "\\0" "\\n"; true';
  expect((await other.commands.run(environments, { user: 'root' })).stdout).not.toContain(canary);
  const list = await Sandbox.list().nextItems();
  expect(JSON.stringify(list)).not.toContain(canary);
  expect(list.some(({ sandboxId }) => sandboxId === sandbox.sandboxId)).toBe(true);
});
