import { truncate } from 'node:fs/promises';
import { removeFolder } from '../root/remove-folder.ts';
import { endSandbox } from './end.ts';
import type { Host } from './host.ts';
import { layoutOf } from './layout.ts';

/** Removes whatever there is of a sandbox. The folder goes last: while it stands, the rest is found again. */
export async function destroySandbox(host: Host, sandboxId: string, directory: string): Promise<void> {
  const released = await endSandbox(host, sandboxId, directory);
  // Its space at least.
  if (!released) await truncate(layoutOf(host.instance, sandboxId, directory).image, 0).catch(() => undefined);
  await removeFolder(directory);
}
