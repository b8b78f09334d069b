import { closeSync, existsSync, mkdirSync, openSync, statfsSync, writeFileSync } from 'node:fs';
import type { LoopDevice } from '@soulbox/linux/loop-devices';
import { attachLoopDevice } from '@soulbox/linux/loop-devices';
import { copyMount, mapIds, mountFileSystem, placeMount } from '@soulbox/linux/mount-objects';
import { makeMountsPrivate, mountOverlay } from '@soulbox/linux/mounts';
import { withinMountNamespace } from '@soulbox/linux/namespaces';
import type { SandboxSpec } from '../driver.ts';
import { blockSize } from './disk.ts';
import type { IdMaps } from './id-map.ts';
import type { LayerDevices } from './layer-devices.ts';
import type { BindMount, ImageMount, RootMount } from './root-mounts.ts';

/** The kernel keeps at most this much unwritten data of a disk in memory, see `limitGrowth`. */
const unwrittenMaxBytes = 8 * 1024 * 1024;

export interface RootPlace {
  /** A process in the mount namespace that gets the mounts. It waits meanwhile. */
  readonly pid: number;
  /** The folder in it to which the paths of overlays are relative. */
  readonly folder: string;
  readonly idMaps: IdMaps;
}

/**
 * Mounts a sandbox's root in the mount namespace of another process, in the order of `mounts`. mount(8) takes three times
 * as long, and more with each loop device of the host (docs/decisions/082). No process of the sandbox exists meanwhile,
 * but the files that an earlier one left on the disk may be anything: no path leads through a folder that it could write
 * in. What fails leaves mounts only in that namespace.
 */
export async function placeRoot(
  { layerDevices }: { readonly layerDevices: LayerDevices },
  spec: Pick<SandboxSpec, 'diskGrowthBytes'>,
  mounts: readonly RootMount[],
  { pid, folder, idMaps }: RootPlace,
): Promise<void> {
  using opened = new DisposableStack();
  const keep = (descriptor: number): number => {
    opened.defer(() => closeSync(descriptor));
    return descriptor;
  };
  // First: the process cannot have ended and left its number to another.
  const namespace = keep(openSync(`/proc/${pid}/ns/mnt`, 'r'));
  const ownIds = await idMaps.own;
  const mountImage = async ({ kind, image }: ImageMount): Promise<number> => {
    const device = kind === 'disk' ? attachLoopDevice(image, { isReadOnly: false }) : await layerDevices.open(image);
    keep(device.descriptor);
    const mount = keep(await mountExt4(device, kind));
    if (kind === 'disk') limitGrowth(device, mount, spec);
    mapIds(mount, kind === 'disk' ? await idMaps.disk : ownIds);
    return mount;
  };
  const mountBind = ({ source, attributes, isMapped = false }: BindMount): number => {
    const mount = keep(copyMount(source, attributes));
    if (isMapped) mapIds(mount, ownIds);
    return mount;
  };

  const made = new Map<RootMount, number>();
  for (const mount of mounts) {
    if (mount.kind === 'disk' || mount.kind === 'layer') made.set(mount, await mountImage(mount));
    else if (mount.kind === 'bind' && mount.from === 'host') made.set(mount, mountBind(mount));
  }
  withinMountNamespace(namespace, folder, () => {
    // Where the host shares its mounts, as systemd does, a waiting shell follows them. CRIU cannot save such mounts.
    makeMountsPrivate();
    for (const mount of mounts) {
      if (!existsSync(mount.target)) mkdirSync(mount.target, { recursive: true });
      if (mount.kind === 'overlay') mountOverlay(mount.name, mount.target, mount);
      else placeMount(made.get(mount) ?? mountBind(mount as BindMount), mount.target);
    }
  });
}

async function mountExt4({ name }: LoopDevice, kind: ImageMount['kind']): Promise<number> {
  const common = ['noAccessTimes', 'noSetuid', 'noDevices'] as const;
  const fileSystem = { type: 'ext4', source: `/dev/${name}` };
  if (kind === 'layer')
    return await mountFileSystem({ ...fileSystem, options: { ro: true }, attributes: [...common, 'readOnly'] });
  // noinit_itable: otherwise the kernel would write 160 MB of empty inode tables in the first seconds, which would look
  // like writes of an idle sandbox. Each group's table is initialized when it is used.
  const options = { noinit_itable: true, discard: true } as const;
  return await mountFileSystem({ ...fileSystem, options, attributes: common });
}

/**
 * From now on the file system may use that many additional blocks, whoever writes, until the server allows more
 * (docs/decisions/019). Called before anything in the sandbox can write. The kernel keeps at most 8 MiB of unwritten data
 * in memory (kernels before 6.2: as much as of any disk): if somebody else fills the host's disk, that much can be lost.
 */
function limitGrowth(
  { name, device }: LoopDevice,
  mount: number,
  { diskGrowthBytes }: Pick<SandboxSpec, 'diskGrowthBytes'>,
): void {
  const unwritten = `/sys/class/bdi/${device}`;
  if (existsSync(`${unwritten}/max_bytes`)) {
    writeFileSync(`${unwritten}/strict_limit`, '1');
    writeFileSync(`${unwritten}/max_bytes`, String(unwrittenMaxBytes));
  }
  const { bfree } = statfsSync(`/proc/self/fd/${mount}`);
  const growth = Math.max(0, Math.floor(diskGrowthBytes / blockSize));
  writeFileSync(`/sys/fs/ext4/${name}/reserved_clusters`, String(Math.max(0, bfree - growth)));
}
