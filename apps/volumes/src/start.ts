import { join } from 'node:path';
import type { Logger } from '@soulbox/base';
import { createAliveCalls, startServiceServer } from '@soulbox/fuse-mounts';
import { createDescriptorReceiver } from '@soulbox/process';
import { openDiskReserve, serviceReserveName } from '@soulbox/storage';
import type { DiskReserve } from '@soulbox/storage';
import { silenceMs } from './limits.ts';
import { createMountLimits } from './mounts/mount-limits.ts';
import { createMounts } from './mounts/serve-mounts.ts';
import { createHandler } from './requests/handle.ts';
import { createStaging } from './staging/stage-volumes.ts';
import { createOpenVolumes } from './volumes/open-volumes.ts';
import type { VolumeStore } from './storage/upload-volumes.ts';
import { readBootId } from './volumes/volume-mounts.ts';

export interface VolumeServerOptions {
  /** The folder of the volumes. */
  readonly directory: string;
  /** A Unix socket that is already bound, or its path. */
  readonly place: { readonly fd: number } | { readonly path: string };
  /** Our end of the channel on which the runner passes the devices of mounts. Absent: nothing can be mounted. */
  readonly channel?: number;
  /** Of the running host, for a process that cannot read it any more. */
  readonly bootId?: string;
  /** The object store, if there is one. It is closed with the service. */
  readonly store?: VolumeStore;
  /** Called when the number of mounts that are served has changed. */
  readonly onMounts?: (count: number) => void;
  readonly logger: Logger;
}

/** Disposing ends open calls, leaves the mounts to the next service, and writes all volumes to the disk. */
export type VolumeServer = AsyncDisposable;

/** When the disk has room again, the reserve is restored within this time. */
const reserveEveryMs = 5000;

/**
 * Serves the contents of volumes to the control plane, and mounts of them for the runner, over HTTP on a Unix socket that
 * nobody else can open (docs/decisions/066-volume-service.md, 067-volumes-in-sandboxes.md).
 */
export async function startVolumeService(options: VolumeServerOptions): Promise<VolumeServer> {
  const { directory, place, channel, bootId = readBootId(), onMounts = () => undefined, store, logger } = options;
  await using started = new AsyncDisposableStack();
  const reserve = openDiskReserve(join(directory, serviceReserveName));
  started.use(keepReserve(reserve));
  const volumes = started.use(createOpenVolumes(directory, { reserve, bootId, store: store?.forVolumes, logger }));
  if (store !== undefined) {
    started.use(store);
    store.start(volumes);
  }
  const receiver = channel === undefined ? undefined : started.use(createDescriptorReceiver(channel));
  const limits = started.use(createMountLimits(volumes, logger));
  const mounts = started.use(createMounts(volumes, { limits, onMounts, logger }));
  const alive = createAliveCalls();
  const take = (ticket: Uint8Array): number | undefined => receiver?.take(ticket);
  const staging = started.use(createStaging({ volumes, directory, logger }));
  const handle = createHandler({ volumes, limits, mounts, alive, take, store, staging, logger });
  started.use(await startServiceServer({ place, alive, handle, silenceMs, logger }));
  const owned = started.move();
  return { [Symbol.asyncDispose]: async () => await owned.disposeAsync() };
}

/** Files can be removed on a full disk: the metadata of a volume use the reserve for that. */
function keepReserve(reserve: DiskReserve): AsyncDisposable {
  let restoring = reserve.restore();
  const timer = setInterval(() => {
    restoring = reserve.restore();
  }, reserveEveryMs);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await restoring;
    },
  };
}
