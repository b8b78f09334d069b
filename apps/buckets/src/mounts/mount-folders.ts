import { existsSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import type { Logger } from '@soulbox/base';

/** What mounts have on the disk. They do not outlive the host, so neither do their folders. */
export interface MountFolders extends Disposable {
  of(mount: string): string;
  /** Whether a process before this one has served the mount. */
  exists(mount: string): boolean;
}

export interface MountFoldersOptions {
  readonly directory: string;
  /** Of the running host. */
  readonly bootId: string;
  /** After this time, folders of the process before that nobody has taken over are removed. Milliseconds. */
  readonly takeoverMs: number;
  readonly isServed: (mount: string) => boolean;
  readonly logger: Logger;
}

/** Removes what is left of mounts of before the last boot of the host. */
export async function openMountFolders(options: MountFoldersOptions): Promise<MountFolders> {
  const { directory, bootId, takeoverMs, isServed, logger } = options;
  const own = join(directory, bootId);
  await mkdir(own, { recursive: true, mode: 0o700 });
  for (const name of await readdir(directory)) if (name !== bootId) await removeTree(join(directory, name));
  const before = await readdir(own);
  const expire = async (): Promise<void> => {
    for (const mount of before) if (!isServed(mount)) await removeTree(join(own, mount));
  };
  const timer = setTimeout(() => {
    expire().catch((err: unknown) => logger.warn({ err }, 'what is left of a mount could not be removed'));
  }, takeoverMs).unref();
  return {
    of: (mount) => join(own, mount),
    exists: (mount) => existsSync(join(own, mount)),
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}
