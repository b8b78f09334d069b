import { access, chmod, mkdir, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { SandboxSpec } from '../driver.ts';
import { freshDiskMb, makeImageFile } from '../root/disk.ts';
import type { RootLayout } from '../root/layout.ts';
import { rootsFolder, runFolder } from '../host/names.ts';

/** Folder of disk.sh. */
export const diskScripts = fileURLToPath(new URL('../root', import.meta.url));

/** Creates the image file, or finds the kept one. */
export async function prepareDisk(spec: SandboxSpec, layout: RootLayout): Promise<void> {
  await rm(layout.ranMark, { force: true });
  if (spec.disk === 'kept') await access(layout.image);
  else await makeImageFile(layout.image, await freshDiskMb(spec.limits.diskMb, spec.layers));
}

/**
 * Creates the folders in /run that all sandboxes of an instance share. `runtimeRoot`: where the OCI runtime keeps its
 * files.
 */
export async function makeRunFolders(instance: number, runtimeRoot: string): Promise<void> {
  const roots = rootsFolder(instance);
  await mkdir(roots, { recursive: true });
  // Not by mkdir's mode, which the server's umask restricts.
  for (const folder of [runFolder(instance), roots]) await chmod(folder, 0o711);
  await mkdir(runtimeRoot, { recursive: true, mode: 0o700 });
}
