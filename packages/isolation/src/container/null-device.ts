import { chmod, lchown, lstat } from 'node:fs/promises';
import { hostFolder } from '../root/root-mounts.ts';

/**
 * crun (1.21) makes the root of a container the owner of its standard streams, which are the host's /dev/null: the
 * sandbox could then close that device to everybody else. On a read-only mount this fails, which crun ignores.
 */
export const unownableNull = hostFolder('/dev/null', '/dev/null');

/** Sandboxes have the host ids from here on. */
const firstSandboxId = 2 ** 28;

/**
 * Takes the host's /dev/null back from a sandbox: earlier servers made each new sandbox its owner. Leaves a node alone
 * whose owner is not a sandbox.
 */
export async function reclaimNull(path = '/dev/null'): Promise<void> {
  const { uid } = await lstat(path);
  if (uid < firstSandboxId) return;
  await lchown(path, 0, 0);
  await chmod(path, 0o666);
}
