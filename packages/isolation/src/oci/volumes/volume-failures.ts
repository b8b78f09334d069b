import { CommandError, SoulBoxError } from '@soulbox/base';
import { SystemCallError } from '@soulbox/linux/libc';
import { mapIds } from '@soulbox/linux/mount-objects';

/** Longer reasons are cut: part of them comes from a sandbox. */
const whyMax = 200;

export function sandboxEnded(cause: unknown): SoulBoxError {
  return new SoulBoxError('volume_mount_failed', 'No volume can be mounted: the sandbox has ended.', { cause });
}

/** Shows the owners of files as the sandbox numbers them. Throws `volume_mount_failed`. */
export function mapOwners(mount: number, userNamespace: number): void {
  try {
    mapIds(mount, userNamespace);
  } catch (cause) {
    if (!(cause instanceof SystemCallError)) throw cause;
    const message = 'The kernel of the host cannot give a volume the ids of a sandbox. Linux 6.12 or later can.';
    throw new SoulBoxError('volume_mount_failed', message, { cause });
  }
}

/** The error of a program that mounts volumes at `paths`. It writes the number of the path, and why it failed. */
export function mountFailure(cause: unknown, paths: readonly string[]): SoulBoxError {
  const [, number, why] = (cause instanceof CommandError && /^(\d+) (.+)$/m.exec(cause.stderr)) || [];
  const path = paths[Number(number)];
  const message =
    path === undefined || why === undefined
      ? 'The volumes could not be mounted in the sandbox.'
      : `A volume cannot be mounted at ${JSON.stringify(path)}: ${why.slice(0, whyMax)}.`;
  return new SoulBoxError('volume_mount_failed', message, { cause });
}
