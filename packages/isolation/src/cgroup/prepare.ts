import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isNodeError, run } from '@soulbox/base';
import type { CgroupLayout } from './layout.ts';
import { neededControllers, readCgroupMounts } from './layout.ts';

/** The group below the root of a v2 tree that takes the processes that had to leave the root group. */
export const hostGroup = 'soulbox-host';

/**
 * Makes the host's control groups usable, as root, and returns the resulting layout. Can be repeated.
 *
 * - v2: enables the controllers for the groups below the root. Inside a container, the root group may contain
 *   processes; they are first moved to a group of their own (a group with controllers enabled below it may contain
 *   none).
 * - hybrid: mounts each controller that is still in the v2 tree as v1 (`hugetlb` in practice): crun then sees plain v1.
 *
 * Throws CommandError or an errno if the host does not allow it.
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

/** Exported for its test, which passes a folder in the form of a v2 tree. */
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
      // The process has ended meanwhile, or is a kernel thread, which stays and does not count.
      if (!isNodeError(error) || (error.code !== 'ESRCH' && error.code !== 'EINVAL')) throw error;
    }
  }
}
