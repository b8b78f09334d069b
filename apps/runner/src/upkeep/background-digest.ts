import type { StampedDisk } from '@soulbox/checkpoints';
import type { OperationContext } from '../operations/operation-context.ts';
import { digestInBackground } from '../processes/sandbox-disk.ts';
import type { HostRecord } from '../registry/record.ts';

/** The disks of sandboxes that are resumed within this time are not read. */
const pausedForMs = 15_000;
/** Time limit of a stopping server. */
const finishMs = 60_000;

/** Digests the large disks of paused sandboxes in the background. */
export interface BackgroundDigest {
  /** Starts with the next disk, unless one is being read. */
  startNext(): void;
  /**
   * Reads all disks that are left, for a server that stops. The data folder may be copied then, and only digests show
   * whether the copy of a disk is whole. Gives up after a minute. Never throws.
   */
  finish(): Promise<void>;
}

type DigestContext = Pick<OperationContext, 'host' | 'table' | 'clock' | 'background'>;

export function createBackgroundDigest(context: DigestContext): BackgroundDigest {
  const { host, table, clock, background } = context;
  const tried = new WeakSet<StampedDisk>();
  let isBusy = false;

  const records = (): HostRecord[] => table.tenants().map(({ record }) => record);
  /**
   * Without digests a changed disk cannot be distinguished from one with only new time stamps. Nothing else is lost.
   */
  const digest = async ({ record, disk }: Undigested, isWanted: () => boolean): Promise<void> => {
    await digestInBackground(host, record, disk, isWanted).catch((err: unknown) => {
      if (isWanted())
        host.logger.warn({ sandboxId: record.sandboxId, err }, 'disk of a paused sandbox could not be read');
    });
  };

  return {
    startNext() {
      const next = isBusy ? undefined : findNext(records(), clock.now() - pausedForMs, tried);
      if (next === undefined) return;
      isBusy = true;
      tried.add(next.disk);
      const isUnchanged = (): boolean => {
        const now = table.find(next.record.sandboxId)?.record;
        return now !== undefined && findStampedDisk(now) === next.disk;
      };
      background.start(async (stopping) => {
        await digest(next, () => !stopping.aborted && isUnchanged());
        isBusy = false;
      });
    },
    async finish() {
      const giveUpAt = performance.now() + finishMs;
      for (const left of findUndigested(records())) await digest(left, () => performance.now() < giveUpAt);
    },
  };
}

interface Undigested {
  readonly record: HostRecord;
  readonly disk: StampedDisk;
}

/** The first sandbox that was paused before `pausedBeforeMs` and whose disk was not tried yet. */
export function findNext(
  records: readonly HostRecord[],
  pausedBeforeMs: number,
  tried: Pick<WeakSet<StampedDisk>, 'has'>,
): Undigested | undefined {
  return findUndigested(records).find(({ record, disk }) => record.stateSinceMs <= pausedBeforeMs && !tried.has(disk));
}

function findUndigested(records: readonly HostRecord[]): Undigested[] {
  return records.flatMap((record) => {
    const disk = findStampedDisk(record);
    return disk === undefined ? [] : [{ record, disk }];
  });
}

/** A disk too large to be digested at the pause: only its time stamps are known. */
function findStampedDisk({ state, disk, saved }: HostRecord): StampedDisk | undefined {
  if (state !== 'paused' || disk !== 'kept' || saved?.disk?.checked !== 'stamp') return undefined;
  return saved.disk;
}
