import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { afterAll, afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openCgroups } from '../../cgroup/open-cgroups.ts';
import { listPids } from '../../cgroup/tree.ts';
import { toolsOf } from '../../host/host-tool.ts';
import { toolGroupParent } from '../../host/names.ts';
import { testInstance } from '../testing/test-instance.ts';
import { createCriuShells } from './criu-shells.ts';

const cgroups = openCgroups();
const tools = toolsOf({ instance: testInstance, cgroups }, 'ishells');
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-shells-'));
});
afterEach(() => rm(folder, { recursive: true }));
afterAll(() => cgroups.remove(toolGroupParent(testInstance)));

async function childrenOf(pid: number): Promise<number[]> {
  return (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ').filter(Boolean).map(Number);
}

test('a script runs in a shell that waited, with a /run of its own that nobody else sees', async () => {
  const script = join(folder, 'script.sh');
  await writeFile(
    script,
    'echo "$$ $1 $SOULBOX_TOOL_FOR $(ls -m /run)"; read -r go; echo facts >/run/criu.kdat; keep_facts',
  );
  const factsFile = join(folder, 'facts');
  const shells = createCriuShells({ logger: silentLogger, factsFile, spares: 1 });
  const before = await childrenOf(process.pid);
  const findWaiting = async (): Promise<number | undefined> =>
    (await childrenOf(process.pid)).find((pid) => !before.includes(pid));
  shells.fill();
  await expect.poll(findWaiting).toBeDefined();
  const waiting = await findWaiting();
  const said: string[] = [];
  const onLine = (_: number, line: string): Promise<void> => Promise.resolve(void said.push(line));
  await shells.run(script, ['a word'], { tools, onLine });
  expect(said).toEqual([`${waiting} a word ${tools.traceName} answer, images, knock`]);
  expect(await readFile(factsFile, 'utf8')).toBe('facts\n');
  // The next one has the facts, also if it waited already when they were stored.
  await writeFile(script, 'cat /run/criu.kdat; read -r go');
  await shells.run(script, [], { tools, onLine });
  expect(said[1]).toBe('facts');
});

test('what is unmounted on the host ends in a shell that waits', async () => {
  const before = await childrenOf(process.pid);
  // systemd shares all mounts of a host; not every test machine has it.
  await run('mount', ['-t', 'tmpfs', 'soulbox-test', folder]);
  const inner = join(folder, 'inner');
  try {
    await run('mount', ['--make-shared', folder]);
    await mkdir(inner);
    await run('mount', ['-t', 'tmpfs', 'soulbox-test', inner]);
    createCriuShells({ logger: silentLogger, factsFile: '/run/soulbox-facts-of-a-test', spares: 1 }).fill();
    const shell = async (): Promise<number> =>
      (await childrenOf(process.pid)).find((pid) => !before.includes(pid)) ?? 0;
    const mounts = async (): Promise<string> =>
      await readFile(`/proc/${await shell()}/mountinfo`, 'utf8').catch(() => '');
    await expect.poll(mounts).toContain(' - tmpfs soulbox rw');
    expect(await mounts()).toContain(inner);
    await run('umount', [inner]);
    expect(await mounts()).not.toContain(inner);
    process.kill(await shell(), 'SIGKILL');
  } finally {
    await run('umount', ['--recursive', folder]);
  }
});

test('a shell that cannot be started ahead is reported, and does not end the server', async () => {
  const warned = vi.fn();
  const file = join(folder, 'file');
  await writeFile(file, '');
  const logger: Logger = { debug: warned, info: warned, warn: warned, error: warned, child: () => silentLogger };
  const shells = createCriuShells({ logger, factsFile: join(file, 'facts'), spares: 1 });
  shells.fill();
  await expect.poll(() => warned.mock.calls.length).toBe(1);
  await expect(shells.run('/dev/null', [], { tools })).rejects.toMatchObject({
    code: expect.stringMatching(/^(?:ENOTDIR|EEXIST)$/) as string,
  });
});

test('shells that wait end with the server, also if it is killed', async () => {
  const module = new URL('criu-shells.ts', import.meta.url).pathname;
  const code = `import { createCriuShells } from ${JSON.stringify(module)};
    createCriuShells({ logger: { warn() {} }, factsFile: '/run/soulbox-facts-of-a-test', spares: 2 }).fill(); setInterval(() => 0, 1000);`;
  const flags = ['--conditions=soulbox-source', '--input-type=module', '-e', code];
  const server = spawn(process.execPath, flags, { stdio: 'inherit' });
  await expect.poll(async () => (await childrenOf(server.pid ?? 0)).length).toBe(2);
  const shells = await childrenOf(server.pid ?? 0);
  server.kill('SIGKILL');
  await once(server, 'exit');
  const left = async (): Promise<number> =>
    (await Promise.all(shells.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').then(String, () => '')))).filter(
      (text) => text.includes('criu-shell'),
    ).length;
  await expect.poll(left).toBe(0);
  expect(await listPids(tools.folder)).toEqual([]);
});
