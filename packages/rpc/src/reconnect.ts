import { setTimeout as sleep } from 'node:timers/promises';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import type { Reason } from '@soulbox/base';

/** How long a call waits for a service that is being started. */
const startMs = 15_000;
const pauseMs = 25;

/** A service on a Unix socket that is started when somebody needs it. */
export interface WakingService {
  readonly socketPath: string;
  /** Starts it if it does not run: it is called when nothing listens. */
  readonly wake: () => void;
  /** Of an error without a response, and of one that is no error of ours. */
  readonly name: string;
  readonly unavailable: Reason;
}

/**
 * Connects again as long as nothing listens, for 15 s. A SoulBoxError is thrown as it is, and so is `ownFailure`, an error of
 * the caller. Every other one becomes `unavailable`.
 */
export async function reconnect<T>(
  { wake, name, unavailable }: WakingService,
  signal: AbortSignal,
  connectOnce: () => Promise<T>,
  ownFailure: () => Error | undefined = () => undefined,
): Promise<T> {
  const giveUpAt = performance.now() + startMs;
  for (;;) {
    try {
      return await connectOnce();
    } catch (thrown) {
      if (signal.aborted) throw signal.reason;
      const own = thrown instanceof SoulBoxError ? thrown : ownFailure();
      if (own !== undefined) throw own;
      const code = isNodeError(thrown) ? thrown.code : undefined;
      const isAway = code === 'ECONNREFUSED' || code === 'ENOENT';
      if (!isAway || performance.now() > giveUpAt)
        throw new SoulBoxError(unavailable, `The ${name} does not answer. Retry in a moment.`, { cause: thrown });
      wake();
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }
}
