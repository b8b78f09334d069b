import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createLocks, SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { copyMsMax, holdVolume, stageVolume } from '@soulbox/volumes';
import type { HeldVolume } from '@soulbox/volumes';
import { stagedGroupPath, volumeStageName } from '@soulbox/volumes/stage-folder';
import type { OpenVolumes, VolumePlace } from '../volumes/open-volumes.ts';
import { removeFolder } from '../volumes/remove-folder.ts';

/** What backups take from volumes. One backup at a time. Disposing ends what goes on, and leaves what is complete. */
export interface Staging extends AsyncDisposable {
  /** Begins a backup: nothing of the one before is left. */
  begin(): Promise<void>;
  /**
   * The backup gets what the volume has at this moment, in place of an earlier one. Returns when the moment is held; the
   * rest goes on. A volume without contents has none. Throws `volume_not_found`.
   */
  hold(place: VolumePlace): Promise<void>;
  /**
   * Returns when the volume is in the stage: as it was at the moment that was held, or as it is now. Throws `disk_full`,
   * `volume_not_found`, and others if it could not be saved.
   */
  finish(place: VolumePlace): Promise<void>;
  /** Ends the backup, and removes what it has taken. */
  drop(): Promise<void>;
}

export interface StagingOptions {
  readonly volumes: OpenVolumes;
  /** The folder of all volumes. */
  readonly directory: string;
  readonly logger: Logger;
}

/** A volume that is being saved. Neither promise rejects without somebody who waits being told. */
interface Job {
  readonly stop: AbortController;
  readonly held: Promise<void>;
  readonly done: Promise<void>;
}

export function createStaging({ volumes, directory, logger }: StagingOptions): Staging {
  const stage = join(directory, volumeStageName);
  const jobs = new Map<string, Job>();
  /** All that were begun and have not ended, also those that were replaced. */
  const running = new Set<Promise<void>>();
  /** One volume is written at a time. */
  const locks = createLocks();
  let count = 0;

  const write = async (place: VolumePlace, held: HeldVolume, signal: AbortSignal): Promise<void> => {
    const startedAt = performance.now();
    const { teamId, groupId, volumeId } = place;
    const target = stagedGroupPath(stage, teamId, groupId);
    await mkdir(target, { recursive: true, mode: 0o700 });
    count += 1;
    const draft = join(stage, 'drafts', `${volumeId}-${count}`);
    const staged = await stageVolume(held, { draft, target, signal });
    const durationMs = Math.round(performance.now() - startedAt);
    logger.info({ ...place, ...staged, durationMs }, 'volume saved for a backup');
  };
  const begin = (place: VolumePlace): Job => {
    const stop = new AbortController();
    const held = Promise.withResolvers<undefined>();
    const work = async (): Promise<void> => {
      await volumes.use(place, async ({ volume, removed }) => {
        // Some time later, a sweep may delete what the moment has.
        const late = AbortSignal.timeout(copyMsMax);
        const signal = AbortSignal.any([stop.signal, removed, late]);
        using _counted = volumes.copies.begin(place.groupId);
        using moment = await holdVolume(volume, volumes.folderOf(place));
        held.resolve(undefined);
        try {
          await locks.alone('', async () => {
            signal.throwIfAborted();
            await write(place, moment, signal);
          });
        } catch (thrown) {
          if (removed.aborted) throw removed.reason;
          throw late.aborted ? tooLate() : thrown;
        }
      });
    };
    const done = work();
    done.catch(held.reject);
    held.promise.catch(() => undefined);
    const ended = done.catch(() => undefined).finally(() => running.delete(ended));
    running.add(ended);
    return { stop, held: held.promise, done };
  };
  const start = (place: VolumePlace): Job => {
    jobs
      .get(place.volumeId)
      ?.stop.abort(new SoulBoxError('illegal_transition', 'A later moment of the volume is saved.'));
    const job = begin(place);
    jobs.set(place.volumeId, job);
    return job;
  };
  const end = async (): Promise<void> => {
    for (const { stop } of jobs.values()) stop.abort(new SoulBoxError('illegal_transition', 'The backup has ended.'));
    jobs.clear();
    await Promise.all(running);
  };
  const drop = async (): Promise<void> => {
    await end();
    await removeFolder(stage);
  };
  return {
    async begin() {
      await drop();
      await mkdir(stage, { mode: 0o700 });
    },
    async hold(place) {
      if (volumes.exists(place)) await start(place).held;
    },
    async finish(place) {
      if (!volumes.exists(place)) return;
      await (jobs.get(place.volumeId) ?? start(place)).done;
    },
    drop,
    [Symbol.asyncDispose]: end,
  };
}

const tooLate = (): SoulBoxError =>
  new SoulBoxError('limit_exceeded', `The volume could not be saved within ${copyMsMax / 60_000} minutes.`);
