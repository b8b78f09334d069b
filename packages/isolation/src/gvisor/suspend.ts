import { SoulBoxError } from '@soulbox/base';
import { keepOnlyDisk } from '../root/kept-disk.ts';
import { endSandbox } from './end.ts';
import type { Host } from './host.ts';
import { layoutOf } from './layout.ts';

/** Ends a sandbox but for its disk. Throws `internal` while somebody else's mount holds the disk. */
export async function suspendSandbox(host: Host, sandboxId: string, directory: string): Promise<void> {
  if (!(await endSandbox(host, sandboxId, directory)))
    throw new SoulBoxError('internal', `The disk of sandbox "${sandboxId}" is still in use.`);
  await keepOnlyDisk(layoutOf(host.instance, sandboxId, directory).image, directory);
}
