import { closeSync } from 'node:fs';
import type { UserNamespaces } from '../host/user-namespaces.ts';

/** Number of ids of each sandbox. On the disk they begin at 0, on the host at its `idBase`. */
export const idCount = 65_536;

/**
 * An id on the disk, outside the sandbox's range, that stands for the host's root. Overlayfs uses the ids of the
 * mounting process. Without this id it could not create its work files and would mount read-only without an error.
 */
const hostRootOnDisk = 4_000_000;

/** Descriptors of user namespaces with the ids of a sandbox. They close with this. */
export interface IdMaps extends AsyncDisposable {
  /** The ids of the sandbox. */
  readonly own: Promise<number>;
  /** The same and the host's root, for the disk. */
  readonly disk: Promise<number>;
}

/** `owner`: the id that creates the namespace with the ids of the sandbox; default: the host's root. */
export function openIdMaps(userNamespaces: UserNamespaces, idBase: number, owner?: number): IdMaps {
  const range = { inside: 0, outside: idBase, count: idCount };
  const own = userNamespaces.create([range], owner);
  const disk = userNamespaces.create([range, { inside: hostRootOnDisk, outside: 0, count: 1 }]);
  const opened = [own, disk];
  // Whoever needs one awaits it; another step may fail before.
  for (const one of opened) one.catch(() => undefined);
  return {
    own,
    disk,
    async [Symbol.asyncDispose]() {
      for (const result of await Promise.allSettled(opened)) if (result.status === 'fulfilled') closeSync(result.value);
    },
  };
}
