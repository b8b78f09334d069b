import { closeSync } from 'node:fs';
import { SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { createWriteBuffers, serve } from '@soulbox/fuse';
import type { Negotiated, Serving, WriteBuffers } from '@soulbox/fuse';
import { createVolumeFs } from '@soulbox/volumes';
import { mountsMax, writeBuffersMax } from '../limits.ts';
import type { OpenVolumes, UsedVolume, VolumePlace } from '../volumes/open-volumes.ts';
import { createEndableFs, createEndedFs } from './endable-fs.ts';
import type { MountLimits, VolumeLimits } from './mount-limits.ts';

export interface MountOrder {
  readonly place: VolumePlace;
  /** Its name, which stays the same when another process takes it over. */
  readonly mount: string;
  /** The device. Others have it too, so the mount outlives this process. */
  readonly fd: number;
  readonly negotiated: Negotiated;
  /** Another process has handled requests of it. */
  readonly isTakeover: boolean;
  readonly isReadOnly: boolean;
  readonly limits: VolumeLimits;
}

/** The mounts that this process serves. Disposing stops the serving and leaves the mounts to the next process. */
export interface Mounts extends AsyncDisposable {
  /**
   * Serves the mount until it is gone, and its volume is in use so long. Returns when it is served, also if it was
   * already. The descriptor belongs to this call, also after an error. Throws `limit_exceeded`, `shutting_down` and the
   * errors of `OpenVolumes.use`, but a mount that is taken over fails each call after its volume was removed.
   */
  serve(order: MountOrder): Promise<void>;
  list(): readonly string[];
}

/** A mount while it is served. */
interface Served {
  readonly order: MountOrder;
  readonly started: Promise<void>;
  /** When this process has nothing to do with it any more. Never rejects. */
  readonly ended: Promise<void>;
}

export function createMounts(
  volumes: OpenVolumes,
  { limits, logger }: { readonly limits: MountLimits; readonly logger: Logger },
): Mounts {
  const served = new Map<string, Served>();
  const stopping = Promise.withResolvers<'stopping'>();
  const writeBuffers = createWriteBuffers(writeBuffersMax);
  let isStopping = false;

  const check = (): void => {
    if (isStopping) throw new SoulBoxError('shutting_down', 'The server is stopping. Retry in a moment.');
    if (served.size >= mountsMax)
      throw new SoulBoxError('limit_exceeded', `The server has ${mountsMax} mounts of volumes. Delete sandboxes.`);
  };
  const begin = (order: MountOrder): Served => {
    const started = Promise.withResolvers<undefined>();
    const device = ownDevice(order);
    const log = logger.child({ volumeId: order.place.volumeId, mount: order.mount });
    const run = async (): Promise<void> => {
      try {
        await runMount(order, {
          ...{ volumes, limits, device, writeBuffers, logger: log },
          ...{ stopping: stopping.promise, started },
        });
      } catch (error) {
        started.reject(error);
        log.error({ err: error }, 'a mount of a volume is not served');
      } finally {
        device.closeIfOwn();
        served.delete(order.mount);
      }
    };
    return { order, started: started.promise, ended: run() };
  };
  return {
    async serve(order) {
      const present = served.get(order.mount);
      try {
        if (present === undefined) check();
        else if (present.order.place.volumeId !== order.place.volumeId)
          throw new SoulBoxError('bad_request', 'The mount is one of another volume.');
      } catch (error) {
        closeSync(order.fd);
        throw error;
      }
      if (present !== undefined) {
        closeSync(order.fd);
        await present.started;
        return;
      }
      const one = begin(order);
      served.set(order.mount, one);
      await one.started;
    },
    list: () => [...served.keys()],
    async [Symbol.asyncDispose]() {
      isStopping = true;
      stopping.resolve('stopping');
      await Promise.all([...served.values()].map(({ ended }) => ended));
    },
  };
}

/** The device, until something else closes it. */
interface Device {
  /** Gives it to `serve`, which closes it. */
  take(): number;
  closeIfOwn(): void;
}

function ownDevice({ fd }: MountOrder): Device {
  let isOwn = true;
  const take = (): number => {
    isOwn = false;
    return fd;
  };
  return {
    take,
    closeIfOwn: () => {
      if (isOwn) closeSync(take());
    },
  };
}

interface MountWork {
  readonly volumes: OpenVolumes;
  readonly limits: MountLimits;
  readonly device: Device;
  readonly writeBuffers: WriteBuffers;
  readonly logger: Logger;
  readonly stopping: Promise<'stopping'>;
  readonly started: PromiseWithResolvers<undefined>;
}

/** Serves a mount until it is gone or this process stops. */
async function runMount(order: MountOrder, work: MountWork): Promise<void> {
  const { place, isTakeover } = order;
  const { volumes, stopping } = work;
  if (isTakeover && !volumes.exists(place)) {
    // A new volume must not take the place of one that was removed.
    await waitForEnd(await serveDevice(createEndedFs(), order, work), stopping);
    return;
  }
  const left = await volumes.use(place, async (used) => await serveVolume(used, order, work));
  if (left !== undefined) await waitForEnd(left, stopping);
}

/** Returns when the volume is not needed any more. If the mount is still there, it is returned, and each call fails. */
async function serveVolume(used: UsedVolume, order: MountOrder, work: MountWork): Promise<Serving | undefined> {
  const { volume, removed, mounts } = used;
  const { mount, isReadOnly, place } = order;
  await using _limited = await work.limits.begin(place, used, order.limits);
  removed.throwIfAborted();
  mounts.begin(mount);
  const endable = createEndableFs(createVolumeFs(volume, { mount, ttlMs: 0, isShared: true, isReadOnly }));
  const serving = await serveDevice(endable.fs, order, work);
  const how = await Promise.race([waitForEnd(serving, work.stopping), whenAborted(removed)]);
  if (how === 'gone') mounts.end(mount);
  if (how !== 'removed') return undefined;
  const over = endable.end();
  // Ends what waits for a lock.
  volume.locks.removeMount(mount);
  await over;
  return serving;
}

async function serveDevice(fs: Parameters<typeof serve>[0], order: MountOrder, work: MountWork): Promise<Serving> {
  const { negotiated, isTakeover } = order;
  const { device, logger, started, writeBuffers } = work;
  const onFault = (err: unknown): void => logger.warn({ err }, 'a call of a mount of a volume failed');
  const serving = await serve(fs, { fd: order.fd, negotiated, isTakeover }, { reader: 'poll', onFault, writeBuffers });
  device.take();
  started.resolve(undefined);
  return serving;
}

/** `stopping`: everything that this process has begun is done. */
async function waitForEnd(serving: Serving, stopping: Promise<'stopping'>): Promise<'gone' | 'stopping'> {
  const how = await Promise.race([serving.closed.then(() => 'gone' as const), stopping]);
  if (how === 'stopping') await serving.stop();
  return how;
}

async function whenAborted(signal: AbortSignal): Promise<'removed'> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  return 'removed';
}
