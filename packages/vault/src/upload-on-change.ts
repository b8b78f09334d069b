import { errorFromUnknown, sleepUnlessAborted } from '@soulbox/base';
import type { Logger } from '@soulbox/base';

export interface ChangeLimits {
  /** Between two looks at whether something has changed, and after an error. Milliseconds. */
  readonly lookMs: number;
  readonly awayMs: number;
  /** An upload takes at most one part in so many of the time. */
  readonly pauseFactor: number;
}

const usualLimits: ChangeLimits = { lookMs: 3000, awayMs: 15_000, pauseFactor: 10 };

export interface UploadOnChangeOptions {
  /** For the log: "the records". */
  readonly what: string;
  /** Another text after each change. */
  readonly mark: () => Promise<string>;
  /** Throws the errors of the store. `storage_taken`: another server has the place, or the runner has not taken it yet. */
  readonly upload: (signal: AbortSignal) => Promise<void>;
  readonly logger: Pick<Logger, 'warn'>;
  readonly limits?: ChangeLimits | undefined;
}

/** Uploads something as a whole, some seconds after it has changed. Disposing ends an upload in progress. */
export function uploadOnChange({ what, mark, upload, logger, ...options }: UploadOnChangeOptions): AsyncDisposable {
  const { limits = usualLimits } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const run = async (): Promise<void> => {
    let uploaded = '';
    let complaint = '';
    while (!signal.aborted) {
      let waitMs = limits.lookMs;
      try {
        const now = await mark();
        if (now !== uploaded) {
          const startedAt = performance.now();
          await upload(signal);
          uploaded = now;
          waitMs = Math.max(waitMs, (performance.now() - startedAt) * limits.pauseFactor);
        }
        complaint = '';
      } catch (thrown) {
        const { message, reason } = errorFromUnknown(thrown);
        // At a start, the runner takes the place over in a moment. If another server has it, the runner reports that.
        const isOther = reason === 'storage_taken';
        if (complaint !== message && !isOther && !stopping.signal.aborted)
          logger.warn({ err: thrown }, `${what} could not be uploaded to the object store; it is tried again`);
        complaint = message;
        waitMs = isOther ? limits.lookMs : limits.awayMs;
      }
      await sleepUnlessAborted(waitMs, signal).catch(() => undefined);
    }
  };
  const running = run();
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort(new Error('The server stops.'));
      await running;
    },
  };
}
