import type { StampedDisk } from '@soulbox/checkpoints';
import type { OperationContext } from '../operations/operation-context.ts';
import type { SandboxRecord } from '../registry/record.ts';
import { digestAtLeisure } from '../processes/sandbox-disk.ts';

/** A sandbox that wakes sooner costs no reading. */
const asleepForMs = 15_000;

/** What is done for sandboxes that have been paused for a while, when nobody waits for it. */
export interface BackgroundDigest {
  /** Begins with the next of them, if none is under way: reads its large disk, so that its digests are known. */
  startNext(): void;
  /**
   * Reads what is left to read, for a server that stops: the data folder may be copied then, and of a copy of a disk nothing is known
   * but its digests. Gives up after a minute. Never throws.
   */
  finish(): Promise<void>;
}

const finishMs = 60_000;

export function createBackgroundDigest(context: OperationContext): BackgroundDigest {
  const { host, table, clock, background } = context;
  const tried = new WeakSet<StampedDisk>();
  let isBusy = false;

  const findNext = (): [SandboxRecord, StampedDisk] | undefined => {
    for (const { record } of table.tenants()) {
      const disk = findStampedDisk(record);
      if (disk === undefined || tried.has(disk) || clock.now() - record.stateSinceMs < asleepForMs) continue;
      return [record, disk];
    }
    return undefined;
  };

  const work = async (record: SandboxRecord, disk: StampedDisk, stopping: AbortSignal): Promise<void> => {
    const isWanted = (): boolean => {
      const now = table.find(record.sandboxId)?.record;
      return !stopping.aborted && now !== undefined && findStampedDisk(now) === disk;
    };
    isBusy = true;
    tried.add(disk);
    try {
      await digestAtLeisure(host, record, disk, isWanted);
    } catch (err) {
      // Without them a disk that was written to cannot be told from one that was only touched; nothing else is lost.
      if (isWanted()) host.logger.warn({ sandboxId: record.sandboxId, err }, 'disk of a paused sandbox not read');
    } finally {
      isBusy = false;
    }
  };

  return {
    async finish() {
      const giveUpAt = performance.now() + finishMs;
      for (const { record } of table.tenants()) {
        const disk = findStampedDisk(record);
        if (disk === undefined) continue;
        await digestAtLeisure(host, record, disk, () => performance.now() < giveUpAt).catch((err: unknown) => {
          host.logger.warn({ sandboxId: record.sandboxId, err }, 'disk of a paused sandbox not read');
        });
      }
    },
    startNext() {
      const next = isBusy ? undefined : findNext();
      if (next !== undefined) background.start(async (stopping) => await work(...next, stopping));
    },
  };
}

function findStampedDisk({ state, disk, saved }: SandboxRecord): StampedDisk | undefined {
  if (state !== 'paused' || disk !== 'kept' || saved?.disk?.checked !== 'stamp') return undefined;
  return saved.disk;
}
