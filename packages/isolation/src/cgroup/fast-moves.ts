import { run } from '@soulbox/base';
import type { MountEntry } from './mounts.ts';
import { readMounts } from './mounts.ts';

/**
 * A mount option of the v2 tree since Linux 6.0 (kernel: Documentation/admin-guide/cgroup-v2.rst). It applies to all
 * trees of the host, including v1 trees. Without it the kernel waits some milliseconds before it moves a process into
 * another group, which delays every start and restore of a sandbox.
 */
const option = 'favordynmods';

/** Whether processes change groups without a delay. Undefined if there is no v2 tree to read that from. */
export function hasFastGroupMoves(mounts: readonly MountEntry[] = readMounts()): boolean | undefined {
  return findUnifiedTree(mounts)?.superOptions.includes(option);
}

/**
 * Lets processes change groups without a delay, until the next boot. Forks and exits of processes may become slightly
 * slower (not measurable in our tests). Needs root. Throws CommandError if the kernel or a container does not allow it.
 */
export async function makeGroupMovesFast(): Promise<void> {
  await remount((options) => [...options, option]);
}

/** Undoes `makeGroupMovesFast`. */
export async function makeGroupMovesSlow(): Promise<void> {
  await remount((options) => options.filter((name) => name !== option));
}

async function remount(change: (options: readonly string[]) => readonly string[]): Promise<void> {
  const tree = findUnifiedTree(readMounts());
  if (tree === undefined) return;
  // All options: a remount removes those that it does not name.
  const options = change(tree.superOptions.filter((name) => name !== '')).join(',');
  await run('mount', ['-o', `remount,${options}`, tree.source, tree.mountPoint]);
}

function findUnifiedTree(mounts: readonly MountEntry[]): MountEntry | undefined {
  return mounts.find(({ fileSystem }) => fileSystem === 'cgroup2');
}
