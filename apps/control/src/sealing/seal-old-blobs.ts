import { sleepUnlessAborted } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { holdHostRoom } from '@soulbox/contract/hold-host-room';
import type { SealedBlobs } from '@soulbox/keyring';
import type { SealingRecords } from '@soulbox/storage';

export interface SealOldBlobs {
  readonly sealing: Pick<SealingRecords, 'finishBlobs'>;
  readonly stores: readonly SealedBlobs[];
  /** Decides whether the disk has room for a copy. It may be away. */
  readonly runner: Parameters<typeof holdHostRoom>[0];
  readonly logger: Logger;
  readonly retryMs?: number;
}

/** The first wait before blobs that are left are tried again. A runner that starts is there by then. */
const firstRetryMs = 1000;
/** Each wait is twice as long, up to this. */
const retryMaxMs = 60_000;

/**
 * Encrypts the blobs that an older version stored readable, beside the running server, one at a time. A blob that cannot
 * be encrypted now, for example on a full disk, is read as it is and tried again later. When none is left, readable ones
 * are refused. Disposing stops it; the next start continues.
 */
export function sealOldBlobs(options: SealOldBlobs): AsyncDisposable {
  const stop = new AbortController();
  const working = sealUntilDone(options, stop.signal).catch((err: unknown) => {
    if (!stop.signal.aborted)
      options.logger.error({ err }, 'old blobs could not be encrypted; the next start tries again');
  });
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await working;
    },
  };
}

async function sealUntilDone(
  { sealing, stores, runner, logger, retryMs = firstRetryMs }: SealOldBlobs,
  signal: AbortSignal,
): Promise<void> {
  const holdRoom = async (bytes: number): Promise<Disposable> =>
    await holdHostRoom(runner, { bytes, what: 'The encrypted copy of a blob' });
  let count = 0;
  let isFirst = true;
  let wait = retryMs;
  for (;;) {
    const left: unknown[] = [];
    for (const store of stores) {
      const done = await store.sealReadable({ signal, holdRoom });
      count += done.sealed;
      left.push(...done.left);
    }
    if (left.length === 0) break;
    if (isFirst)
      logger.warn(
        { err: left[0], count: left.length },
        'some old blobs are still readable on the disk; tried again until done',
      );
    isFirst = false;
    await sleepUnlessAborted(wait, signal);
    wait = Math.min(2 * wait, retryMaxMs);
  }
  await sealing.finishBlobs();
  for (const store of stores) store.refuseReadable();
  if (count > 0) logger.info({ blobs: count }, 'stored blobs are encrypted with the root key');
}
