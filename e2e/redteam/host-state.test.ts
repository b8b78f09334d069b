/** @module-tag violation */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rmdir, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { listEscaped } from './host-state.ts';
import { hostPython } from './host-witness.ts';

/** An id of a sandbox's user of the instance 2 (docs/decisions/004). */
const sandboxId = String(3 * 2 ** 28 + 1_000_000);
const hold = `
memory = bytearray(500 << 20)
for at in range(0, len(memory), 4096): memory[at] = 1
print('ready', flush=True)
import time; time.sleep(60)`;

test('a process of a sandbox that is about to end is not taken for one that has escaped', async () => {
  await using undo = new AsyncDisposableStack();
  // The tree that the kernel shows first.
  const [, tree = ''] = /^\S+ (\S+) cgroup2? /m.exec(readFileSync('/proc/self/mounts', 'utf8')) ?? [];
  const parent = join(tree, 'soulbox-2');
  const group = join(parent, 'redteam-exit');
  await mkdir(group, { recursive: true });
  undo.defer(async () => {
    await rmdir(group);
    await rmdir(parent).catch(() => undefined);
  });
  const child = spawn('setpriv', ['--reuid', sandboxId, '--clear-groups', hostPython, '-c', hold], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  undo.defer(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  await once(child.stdout, 'data');
  const mine = (): string[] => listEscaped().filter((text) => text.startsWith(`${String(child.pid)} `));
  expect(mine()).toHaveLength(1);
  await writeFile(join(group, 'cgroup.procs'), String(child.pid));
  expect(mine()).toEqual([]);
  // The kernel frees the memory for some time, in which the process is in no group.
  child.kill('SIGKILL');
  const seen: string[] = [];
  while (child.exitCode === null && child.signalCode === null) {
    seen.push(...mine());
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(seen).toEqual([]);
});
