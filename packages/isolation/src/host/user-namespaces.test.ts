import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { run } from '@soulbox/base';
import { expect, test } from 'vitest';
import { createUserNamespaces } from './user-namespaces.ts';

const range = { inside: 0, outside: 500_000_000, count: 65_536 };
const hostRoot = { inside: 4_000_000, outside: 0, count: 1 };

async function mapOf(descriptor: number, file: 'uid_map' | 'gid_map'): Promise<number[][]> {
  const user = `--user=/proc/${process.pid}/fd/${descriptor}`;
  const text = await run('nsenter', [user, '--preserve-credentials', 'cat', `/proc/self/${file}`]);
  return text
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
}

async function childrenOf(pid: number): Promise<number[]> {
  return (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ').filter(Boolean).map(Number);
}

test('each namespace has its map, and nothing stays but its descriptor', async () => {
  const namespaces = createUserNamespaces();
  closeSync(await namespaces.create([range]));
  const before = readdirSync('/proc/self/fd').length;
  const made = await Promise.all([namespaces.create([range], 500_000_000), namespaces.create([range, hostRoot])]);
  const rows = [
    [0, 500_000_000, 65_536],
    [4_000_000, 0, 1],
  ];
  for (const file of ['uid_map', 'gid_map'] as const)
    expect([await mapOf(made[0], file), await mapOf(made[1], file)]).toEqual([rows.slice(0, 1), rows]);
  for (const descriptor of made) closeSync(descriptor);
  expect(readdirSync('/proc/self/fd').length).toBe(before);
});

test('a map that the kernel refuses is an error with its reason, and the next namespace is made', async () => {
  const namespaces = createUserNamespaces();
  const twice = namespaces.create([range, range]);
  const next = namespaces.create([range]);
  await expect(twice).rejects.toThrow(/uid_map: Invalid argument/);
  closeSync(await next);
});

test('a program that was killed is replaced', async () => {
  const before = await childrenOf(process.pid);
  const namespaces = createUserNamespaces();
  closeSync(await namespaces.create([range]));
  const [program = 0] = (await childrenOf(process.pid)).filter((pid) => !before.includes(pid));
  process.kill(program, 'SIGKILL');
  await expect.poll(() => childrenOf(process.pid)).not.toContain(program);
  closeSync(await namespaces.create([range]));
});

test('nothing is left when the server is killed', async () => {
  const module = new URL('user-namespaces.ts', import.meta.url).pathname;
  const code = `import { createUserNamespaces } from ${JSON.stringify(module)};
    await createUserNamespaces().create([${JSON.stringify(range)}]); console.log('made'); setInterval(() => 0, 1000);`;
  const flags = ['--conditions=soulbox-source', '--input-type=module', '-e', code];
  const server = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(server.stdout, 'data');
  const [program = 0] = await childrenOf(server.pid ?? 0);
  expect(await readFile(`/proc/${program}/cmdline`, 'utf8')).toContain('user-namespaces.pl');
  server.kill('SIGKILL');
  await once(server, 'exit');
  await expect
    .poll(() => readFile(`/proc/${program}/cmdline`, 'utf8').catch(() => ''))
    .not.toContain('user-namespaces.pl');
});
