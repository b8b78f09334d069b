import { run } from '@soulbox/base';
import type { MountEntry } from './mounts.ts';
import { readMounts } from './mounts.ts';

/**
 * Mount option of the v2 tree since Linux 6.0 (kernel: Documentation/admin-guide/cgroup-v2.rst). It holds for all trees of the
 * host, v1 ones too: without it the kernel waits some milliseconds before it puts a process into another group, and every
 * start and restore of a sandbox waits with it.
 */
const option = 'favordynmods';

/** Whether processes change groups without a wait. Undefined: there is no v2 tree to say so. */
export function hasFastGroupMoves(mounts: readonly MountEntry[] = readMounts()): boolean | undefined {
  return findUnifiedTree(mounts)?.superOptions.includes(option);
}

/**
 * Lets processes change groups without a wait, until the next boot; forks and ends of processes may cost a little more (not
 * measurable where we looked). As root. Throws CommandError where the kernel or a container does not allow it.
 */
export async function makeGroupMovesFast(): Promise<void> {
  await remount((options) => [...options, option]);
}

/** The way back. */
export async function makeGroupMovesSlow(): Promise<void> {
  await remount((options) => options.filter((name) => name !== option));
}

async function remount(change: (options: readonly string[]) => readonly string[]): Promise<void> {
  const tree = findUnifiedTree(readMounts());
  if (tree === undefined) return;
  // All of them: a remount takes away what it does not name.
  const options = change(tree.superOptions.filter((name) => name !== '')).join(',');
  await run('mount', ['-o', `remount,${options}`, tree.source, tree.mountPoint]);
}

function findUnifiedTree(mounts: readonly MountEntry[]): MountEntry | undefined {
  return mounts.find(({ fileSystem }) => fileSystem === 'cgroup2');
}
