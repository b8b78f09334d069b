import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import { flush } from '../root/kept-disk.ts';
import { removeFolder } from '../root/remove-folder.ts';
import { endSandbox } from './end.ts';
import type { Host } from './host.ts';
import { layoutOf } from './layout.ts';

/** Ends a sandbox but for its disk. Throws `internal` while somebody else's mount holds the disk. */
export async function suspendSandbox(host: Host, sandboxId: string, directory: string): Promise<void> {
  const { image } = layoutOf(host.instance, sandboxId, directory);
  if (!(await endSandbox(host, sandboxId, directory)))
    throw new SoulBoxError('internal', `The disk of sandbox ${sandboxId} is still in use.`);
  for (const name of await readdir(directory).catch(() => [] as string[]))
    if (name !== basename(image)) await removeFolder(join(directory, name));
  await flushDisk(image, directory);
}

/** A sandbox that never got as far as a disk has none to keep. */
async function flushDisk(image: string, directory: string): Promise<void> {
  try {
    await flush(image);
    await flush(directory);
  } catch (error) {
    if (!isNodeError(error) || error.code !== 'ENOENT') throw error;
  }
}
