import type { Logger } from '@soulbox/base';
import type { Serving } from '@soulbox/fuse';
import { createMounts as createSharedMounts } from '@soulbox/fuse-mounts';
import type { Mounts as SharedMounts, MountOrder as SharedOrder, MountWork } from '@soulbox/fuse-mounts';
import { createVolumeFs } from '@soulbox/volumes';
import type { OpenVolumes, UsedVolume, VolumePlace } from '../volumes/open-volumes.ts';
import { createEndableFs, createEndedFs } from './endable-fs.ts';
import type { MountLimits, VolumeLimits } from './mount-limits.ts';

export interface MountOrder extends SharedOrder {
  readonly place: VolumePlace;
  readonly isReadOnly: boolean;
  readonly limits: VolumeLimits;
}

/**
 * The mounts of volumes. The volume of a mount is in use as long as it is served. `serve` also throws the errors of
 * `OpenVolumes.use`, but a mount that is taken over fails each call after its volume was removed.
 */
export type Mounts = SharedMounts<MountOrder>;

export function createMounts(
  volumes: OpenVolumes,
  {
    limits,
    onMounts,
    logger,
  }: { readonly limits: MountLimits; readonly onMounts: (count: number) => void; readonly logger: Logger },
): Mounts {
  return createSharedMounts<MountOrder>({
    noun: 'volume',
    isSame: (one, other) => one.place.volumeId === other.place.volumeId,
    teamOf: ({ place }) => place.teamId,
    fieldsOf: ({ place }) => ({ volumeId: place.volumeId }),
    onMounts,
    run: async (order, work) => await runMount(order, { ...work, volumes, limits }),
    logger,
  });
}

interface VolumeWork extends MountWork {
  readonly volumes: OpenVolumes;
  readonly limits: MountLimits;
}

/** Serves a mount until it is gone or this process stops. */
async function runMount(order: MountOrder, work: VolumeWork): Promise<void> {
  const { place, isTakeover } = order;
  const { volumes } = work;
  if (isTakeover && !volumes.exists(place)) {
    // A new volume must not take the place of one that was removed.
    await work.waitForEnd(await work.serve(createEndedFs()));
    return;
  }
  const left = await volumes.use(place, async (used) => await serveVolume(used, order, work));
  if (left !== undefined) await work.waitForEnd(left);
}

/** Returns when the volume is not needed any more. If the mount is still there, it is returned, and each call fails. */
async function serveVolume(used: UsedVolume, order: MountOrder, work: VolumeWork): Promise<Serving | undefined> {
  const { volume, removed, mounts } = used;
  const { mount, isReadOnly, place } = order;
  await using _limited = await work.limits.begin(place, used, order.limits);
  removed.throwIfAborted();
  const { usable } = mounts.begin(mount);
  const { ttlMs } = mounts.cache;
  const endable = createEndableFs(createVolumeFs(volume, { mount, ttlMs, isShared: true, isReadOnly }), usable);
  const serving = await work.serve(endable.fs);
  const how = await Promise.race([work.waitForEnd(serving), whenAborted(removed)]);
  if (how === 'gone') mounts.end(mount);
  if (how !== 'removed') return undefined;
  const over = endable.end();
  // Ends what waits for a lock.
  volume.locks.removeMount(mount);
  await over;
  return serving;
}

async function whenAborted(signal: AbortSignal): Promise<'removed'> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  return 'removed';
}
