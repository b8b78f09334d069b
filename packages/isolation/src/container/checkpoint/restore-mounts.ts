import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SandboxSpec } from '../../driver.ts';
import { traceName } from '../../host/names.ts';
import { idCount } from '../../root/id-map.ts';
import { diskFolders } from '../../root/layout.ts';
import type { TableLine } from '../../root/mount-table.ts';
import { rootTable, bundleTable, writeMountTable } from '../../root/mount-table.ts';
import type { Host } from '../host.ts';
import type { SandboxLayout } from '../layout.ts';
import { privateFolders, volumeFolder } from './external-mounts.ts';
import { placeOfVolume } from './restore-volumes.ts';
import { findUserNamespaceImage, userNamespaceImage } from './user-namespace-image.ts';

const images = '/run/images';
const points = { folder: '/run', rootfs: '/run/root' } as const;
const readOnly = 'bind,ro,nosuid,nodev,noexec';

/**
 * Writes the mount table of a restore: the root as in a start, the bind mounts from outside with their options from
 * `containerMounts`, and in the saved memory, which restore.sh mounts, a user namespace image for this sandbox's own
 * range that covers the saved one.
 */
export async function prepareRestoreMounts(
  host: Host,
  spec: SandboxSpec,
  layout: SandboxLayout,
  memory: string,
): Promise<void> {
  const name = await findUserNamespaceImage(memory);
  const own = join(layout.criu, name);
  await writeFile(own, await userNamespaceImage(memory, name, spec.idBase));
  // Like the other images, see dump.sh; the server's umask must not matter.
  await chmod(own, 0o644);
  const trace = traceName(host.instance, spec.sandboxId);
  await writeMountTable(layout.mountTable, [
    ...rootTable(spec, layout.image, points, trace),
    ...ownFolders(),
    ...bundleTable(spec, points.folder, privateFolders.runtime, trace),
    bind(own, join(images, name), readOnly),
    ...spec.volumes.map(({ index }) => bind(placeOfVolume(layout, index), volumeFolder(index), volumeOptions(spec))),
  ]);
}

/** The bind mount has the other options of the mount: without setuid programs and devices, perhaps read-only. */
function volumeOptions({ idBase }: SandboxSpec): string {
  return `bind,X-mount.idmap=b:0:${idBase}:${idCount}`;
}

function ownFolders(): TableLine[] {
  const onDisk = (name: string): string => join(points.folder, 'disk', name);
  return [
    // CRIU gives the mounts their saved options, including read-only. It cannot remove noexec, and one of the mounts
    // from this folder has no noexec.
    bind(onDisk(diskFolders.etc), privateFolders.etc, 'bind,nosuid,nodev'),
    bind(onDisk(diskFolders.empty), privateFolders.empty, readOnly),
    bind(onDisk(diskFolders.run), privateFolders.run, 'bind,nosuid,nodev,noexec'),
  ];
}

function bind(source: string, target: string, options: string): TableLine {
  return { source, target, type: 'none', options };
}
