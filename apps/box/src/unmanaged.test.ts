import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, mkdir, rmdir, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { findUnmanaged } from './unmanaged.ts';

/** The unified tree of control groups. In those of version 1, a zombie leaves its group. */
const tree = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8'))?.[1];
const sandboxId = 'iunmanagedtest';

let directory: string;
let group: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'soulbox-unmanaged-'));
  await mkdir(join(directory, 'sandboxes'));
  await writeFile(join(directory, 'sandboxes', `${sandboxId}.json`), JSON.stringify({ sandboxId, tenant: {} }));
  group = join(tree ?? '', 'soulbox-14', sandboxId);
  await mkdir(group, { recursive: true });
});
afterEach(async () => {
  await removeTree(directory);
  await rmdir(group);
  await rmdir(join(group, '..')).catch(() => undefined);
});

test.skipIf(tree === undefined)(
  'a sandbox is found while one of its processes runs, and not when only zombies are left (needs cgroup v2)',
  async () => {
    // The child stays a zombie, because its parent never asks how it ended.
    const script = 'sh -c "echo \\$\\$ > $0/cgroup.procs; read line" & echo started; exec sleep 60 < /dev/null';
    const parent = spawn('sh', ['-c', `exec 3<&0; ${script.replace('read line', 'read line <&3')}`, group]);
    await once(parent.stdout, 'data');
    const members = (): string => readFileSync(join(group, 'cgroup.procs'), 'utf8');
    await expect.poll(members).not.toBe('');
    expect(await findUnmanaged(directory)).toEqual([{ sandboxId, instance: 14, isSpare: false }]);

    const child = members().trim();
    parent.stdin.end('\n');
    await expect.poll(() => readFileSync(`/proc/${child}/stat`, 'utf8')).toMatch(/\) Z /);
    expect(readFileSync(`/proc/${child}/cgroup`, 'utf8')).toContain(sandboxId);
    expect(await findUnmanaged(directory)).toEqual([]);

    const ended = once(parent, 'exit');
    parent.kill('SIGKILL');
    await ended;
    await expect.poll(members).toBe('');
  },
);
