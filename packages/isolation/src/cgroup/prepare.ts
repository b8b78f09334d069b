import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isNodeError, run } from '@soulbox/base';
import type { CgroupLayout } from './layout.ts';
import { neededControllers, readCgroupMounts } from './layout.ts';

/** Below the root of a v2 tree whose processes had to leave it. */
export const hostGroup = 'soulbox-host';

/**
 * Makes the host's control groups usable, as root, and gives the layout it ends with. Safe to repeat.
 *
 * - v2: passes the controllers on to the groups below the root. Inside a container, whose root group may hold
 *   processes, those move to a group of their own first (a group with controllers below it may hold none).
 * - hybrid: mounts each controller that the v2 tree still has as v1 (`hugetlb` in practice): crun then sees plain v1.
 *
 * Throws CommandError or an errno where the host does not allow it.
 */
export async function prepareCgroups(): Promise<CgroupLayout> {
  const mounts = readCgroupMounts();
  if (mounts.layout === 'v2' && mounts.unified !== undefined) await delegateControllers(mounts.unified);
  if (mounts.layout === 'hybrid') {
    const anyTree = mounts.v1.values().next().value ?? '/sys/fs/cgroup/cpu';
    for (const controller of mounts.unifiedControllers) await mountV1(controller, dirname(anyTree));
  }
  return readCgroupMounts().layout;
}

async function mountV1(controller: string, parent: string): Promise<void> {
  const target = join(parent, controller);
  await mkdir(target, { recursive: true });
  await run('mount', ['-t', 'cgroup', '-o', controller, controller, target]);
}

/** Exported for its test, which gives it a folder in the form of a v2 tree. */
export async function delegateControllers(root: string): Promise<void> {
  const wanted = neededControllers.v2.map((name) => `+${name}`).join(' ');
  const control = join(root, 'cgroup.subtree_control');
  const enabled = (await readFile(control, 'utf8')).split(/\s+/);
  if (neededControllers.v2.every((name) => enabled.includes(name))) return;
  try {
    await writeFile(control, wanted);
  } catch (error) {
    if (!isNodeError(error) || error.code !== 'EBUSY') throw error;
    await moveProcesses(root, join(root, hostGroup));
    await writeFile(control, wanted);
  }
}

export async function moveProcesses(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const pid of (await readFile(join(from, 'cgroup.procs'), 'utf8')).split('\n').filter(Boolean)) {
    try {
      await writeFile(join(to, 'cgroup.procs'), pid);
    } catch (error) {
      // Ended meanwhile, or a kernel thread, which stays and does not count.
      if (!isNodeError(error) || (error.code !== 'ESRCH' && error.code !== 'EINVAL')) throw error;
    }
  }
}
