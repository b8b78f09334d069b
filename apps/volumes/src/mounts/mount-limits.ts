import type { Logger } from '@soulbox/base';
import { quotaEveryMs, mountedInodesMax } from '../limits.ts';
import type { OpenVolumes, UsedVolume, VolumePlace } from '../volumes/open-volumes.ts';

/** Undefined: unlimited. */
export interface VolumeLimits {
  /** The most that the volume may have. */
  readonly sizeBytes: number | undefined;
  /** The most that all volumes of its team may have together. */
  readonly teamBytes: number | undefined;
}

/**
 * Limits of mounted volumes. Writes of a mount do not ask about the team, so the quota of each volume is set again and
 * again to what the team has left. Between two times, several volumes can together write more than that.
 */
export interface MountLimits extends Disposable {
  /** Until it is disposed. The last limits of a volume count for all its mounts. */
  begin(place: VolumePlace, used: UsedVolume, limits: VolumeLimits): Promise<AsyncDisposable>;
  /** Changes the limits of a volume that is mounted. Returns whether it is. Undefined ones stay as they are. */
  change(volumeId: string, limits: VolumeLimits): boolean;
}

interface Limited {
  readonly place: VolumePlace;
  readonly used: UsedVolume;
  limits: VolumeLimits;
  mounts: number;
}

export function createMountLimits(volumes: Pick<OpenVolumes, 'teamBytes'>, logger: Logger): MountLimits {
  const limited = new Map<string, Limited>();
  let timer: NodeJS.Timeout | undefined;
  let isRunning = false;
  let hasFailed = false;

  const apply = async (one: Limited): Promise<void> => {
    const { sizeBytes = Infinity, teamBytes } = one.limits;
    const left =
      teamBytes === undefined ? Infinity : Math.max(0, teamBytes - (await volumes.teamBytes(one.place.teamId)));
    // Closed meanwhile.
    if (limited.get(one.place.volumeId) !== one || one.used.removed.aborted) return;
    const { metadata } = one.used.volume;
    const { usage, quota } = metadata.facts();
    const bytes = Math.min(sizeBytes, usage.bytes + left);
    const next = { bytes: Number.isFinite(bytes) ? bytes : undefined, inodes: mountedInodesMax };
    if (next.bytes !== quota.bytes || next.inodes !== quota.inodes) await metadata.setQuota(next);
  };
  const applyAll = async (): Promise<void> => {
    if (isRunning) return;
    isRunning = true;
    try {
      for (const one of limited.values()) await apply(one);
      hasFailed = false;
    } catch (err) {
      if (!hasFailed) logger.warn({ err }, 'the limits of mounted volumes could not be set');
      hasFailed = true;
    } finally {
      isRunning = false;
    }
  };
  const end = async (one: Limited): Promise<void> => {
    one.mounts -= 1;
    if (one.mounts > 0) return;
    limited.delete(one.place.volumeId);
    if (limited.size === 0) clearInterval(timer);
    if (!one.used.removed.aborted)
      await one.used.volume.metadata.setQuota({ bytes: one.limits.sizeBytes, inodes: undefined });
  };
  return {
    async begin(place, used, limits) {
      let one = limited.get(place.volumeId);
      if (one === undefined) {
        one = { place, used, limits, mounts: 0 };
        if (limited.size === 0) timer = setInterval(() => void applyAll(), quotaEveryMs);
        limited.set(place.volumeId, one);
      }
      const held = one;
      held.limits = limits;
      held.mounts += 1;
      try {
        await apply(held);
      } catch (error) {
        await end(held);
        throw error;
      }
      return { [Symbol.asyncDispose]: async () => await end(held) };
    },
    change(volumeId, { sizeBytes, teamBytes }) {
      const one = limited.get(volumeId);
      if (one === undefined) return false;
      const { limits } = one;
      one.limits = { sizeBytes: sizeBytes ?? limits.sizeBytes, teamBytes: teamBytes ?? limits.teamBytes };
      return true;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}
