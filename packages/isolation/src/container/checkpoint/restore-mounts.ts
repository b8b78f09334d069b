import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MountAttribute } from '@soulbox/linux/mount-objects';
import type { SandboxSpec } from '../../driver.ts';
import { traceName } from '../../host/names.ts';
import { diskFolders } from '../../root/layout.ts';
import type { RootMount } from '../../root/root-mounts.ts';
import { bundleMounts, hostFolder, rootMounts } from '../../root/root-mounts.ts';
import type { Host } from '../host.ts';
import type { SandboxLayout } from '../layout.ts';
import { privateFolders, volumeFolder } from './external-mounts.ts';
import { placeOfVolume } from './restore-volumes.ts';
import { findUserNamespaceImage, userNamespaceImage } from './user-namespace-image.ts';

const images = '/run/images';
const readOnly = ['readOnly', 'noSetuid', 'noDevices', 'noPrograms'] as const;
/** The folders of a restore, in the namespace of its shell. */
export const restoreFolder = '/run';

/**
 * The mounts of a restore: the saved memory, and in it a user namespace image for this sandbox's own range that covers the
 * saved one; the root as in a start; and the bind mounts from outside with their options from `containerMounts`. Writes
 * that image.
 */
export async function prepareRestoreMounts(
  host: Host,
  spec: SandboxSpec,
  layout: SandboxLayout,
  memory: string,
): Promise<readonly RootMount[]> {
  const name = await findUserNamespaceImage(memory);
  const own = join(layout.criu, name);
  await writeFile(own, await userNamespaceImage(memory, name, spec.idBase));
  // Like the other images, see dump.sh; the server's umask must not matter.
  await chmod(own, 0o644);
  const trace = traceName(host.instance, spec.sandboxId);
  const points = { folder: restoreFolder, rootfs: join(restoreFolder, 'root') };
  return [
    hostFolder(memory, images, readOnly),
    hostFolder(own, join(images, name), readOnly),
    ...rootMounts(spec, layout.image, points, trace),
    ...ownFolders(),
    ...bundleMounts(spec, points.folder, privateFolders.runtime, trace),
    ...spec.volumes.map(({ index }) => volumeMount(placeOfVolume(layout, index), volumeFolder(index))),
  ];
}

/** The mount has the other options already: without setuid programs and devices, perhaps read-only. */
const volumeMount = (source: string, target: string): RootMount => ({
  ...{ kind: 'bind', source, target, attributes: [], isMapped: true, from: 'namespace' },
});

function ownFolders(): RootMount[] {
  const place = (name: string, target: string, attributes: readonly MountAttribute[]): RootMount => ({
    ...{ kind: 'bind', source: join(restoreFolder, 'disk', name), target, attributes, from: 'namespace' },
  });
  return [
    // CRIU gives the mounts their saved options, including read-only. It cannot remove noexec, and one of the mounts
    // from this folder has no noexec.
    place(diskFolders.etc, privateFolders.etc, ['noSetuid', 'noDevices']),
    place(diskFolders.empty, privateFolders.empty, readOnly),
    place(diskFolders.run, privateFolders.run, ['noSetuid', 'noDevices', 'noPrograms']),
  ];
}
