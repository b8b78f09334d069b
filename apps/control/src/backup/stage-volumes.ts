import type { StageBackup } from '@soulbox/api';
import { errorFromUnknown, isDiskFull } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import type { CopiedVolume } from '@soulbox/storage';
import type { VolumeStaging } from './volume-staging.ts';

type Report = Parameters<StageBackup>[0];

export interface StageVolumesOptions {
  readonly staging: VolumeStaging;
  /** Whether any volume was ever used. Otherwise the service is not started for the backup. */
  readonly hasVolumes: () => Promise<boolean>;
  readonly logger: Logger;
}

/** The volumes of one backup. */
export interface StagedVolumes {
  /** Call it before sandboxes are saved: then volumes that they write to are saved as they are at that moment. */
  begin(signal: AbortSignal): Promise<void>;
  /** Saves all volumes of the copied records, and reports each. Throws `disk_full`, and the reason of `left`. */
  finish(volumes: readonly CopiedVolume[], report: Report, left: AbortSignal): Promise<void>;
  /** After a failure: nothing is left. Never throws. */
  giveUp(): Promise<void>;
}

/** Removing what another backup has left can take a while. */
const beginMs = 120_000;
/** The service itself gives up after 30 minutes. */
const finishMs = 31 * 60_000;
const attempts = 2;

export function createStagedVolumes({ staging, hasVolumes, logger }: StageVolumesOptions): StagedVolumes {
  let hasBegun = false;
  const begin = async (signal: AbortSignal): Promise<void> => {
    await staging.begin(AbortSignal.any([signal, AbortSignal.timeout(beginMs)]));
    hasBegun = true;
  };
  const saveOne = async (volume: CopiedVolume, left: AbortSignal): Promise<void> => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await staging.finish(volume, AbortSignal.any([left, AbortSignal.timeout(finishMs)]));
        return;
      } catch (thrown) {
        left.throwIfAborted();
        // The next service saves it anew, with a later moment.
        if (errorFromUnknown(thrown).reason !== 'volumes_unavailable' || attempt === attempts) throw thrown;
      }
    }
  };
  return {
    async begin(signal) {
      try {
        if (await hasVolumes()) await begin(signal);
      } catch (err) {
        signal.throwIfAborted();
        logger.warn({ err }, 'a backup could not begin with the volumes; it is tried again');
      }
    },
    async finish(volumes, report, left) {
      let away: string | undefined;
      for (const volume of volumes) {
        const { id, isUsed, isCopying } = volume;
        let leftOut: string | undefined;
        try {
          if (isUsed && away === undefined && !hasBegun) await begin(left);
          if (isUsed && away === undefined) await saveOne(volume, left);
          else if (isUsed) leftOut = away;
        } catch (thrown) {
          left.throwIfAborted();
          if (isDiskFull(thrown)) throw thrown;
          const { reason, message } = errorFromUnknown(thrown);
          if (reason === 'volumes_unavailable') away = message;
          // It was deleted meanwhile.
          if (reason !== 'volume_not_found') leftOut = message;
          if (leftOut !== undefined) logger.warn({ volumeId: id, err: thrown }, 'volume left out of a backup');
        }
        if (!isCopying) report({ what: 'volume', id, ...(leftOut === undefined ? {} : { leftOut }) });
      }
    },
    async giveUp() {
      if (!hasBegun) return;
      await staging.drop(AbortSignal.timeout(beginMs)).catch((err: unknown) => {
        logger.warn({ err }, 'what a failed backup has of the volumes is removed by the next one');
      });
    },
  };
}
