import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@soulbox/base';
import { openSweeper } from '@soulbox/volumes';
import type { Sweeper } from '@soulbox/volumes';

/**
 * A sweep deletes what the one before has found, and an hour must lie between them. So blocks stay up to 130 minutes
 * after the last volume that had them.
 */
const everyMs = 65 * 60_000;

/**
 * Deletes blocks that only deleted copies had, and those of killed writers, one group after the other, until it is
 * disposed. `list` gives the folders of all groups.
 */
export function sweepGroups(list: () => Promise<readonly string[]>, logger: Logger): AsyncDisposable {
  const stopping = new AbortController();
  const sweepers = new Map<string, Sweeper>();

  const sweepOne = async (folder: string): Promise<void> => {
    const sweeper = sweepers.get(folder) ?? openSweeper(folder);
    sweepers.set(folder, sweeper);
    try {
      const { deleted, bytes } = await sweeper.sweep();
      if (deleted > 0) logger.info({ deleted, bytes }, 'blocks of volumes that nothing needs any more were deleted');
    } catch (err) {
      // A volume of the group may have been removed meanwhile.
      logger.warn({ err }, 'a group of volumes could not be swept yet');
    }
  };

  const run = async (): Promise<void> => {
    for (;;) {
      await sleep(everyMs, undefined, { signal: stopping.signal, ref: false });
      const folders = await list();
      for (const known of sweepers.keys()) if (!folders.includes(known)) sweepers.delete(known);
      for (const folder of folders) if (!stopping.signal.aborted) await sweepOne(folder);
    }
  };
  const running = run().catch((err: unknown) => {
    if (!stopping.signal.aborted) logger.error({ err }, 'volumes are not swept any more');
  });
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running;
    },
  };
}
