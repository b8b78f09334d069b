import type { EgressReason } from '@soulbox/contract';
import type { Limits } from './policed-sandbox.ts';
import { createTokenBucket } from './token-bucket.ts';
import type { TokenBucket } from './token-bucket.ts';

/** Open connections of one sandbox, whatever its policy. A connection costs a few KiB and two descriptors. */
const connectionsMax = 1024;
/** Of these, intercepted ones. HTTP/2 may make us buffer 2 MiB for each. */
const interceptedMax = 128;
/** New connections of one sandbox per second, and at once, whatever its policy. */
const connectionsPerSecondMax = 500;
const connectionsBurstMax = 1000;

export type Direction = 'sent' | 'received';

/** What a sandbox has used of its limits. It outlives changes of the policy. */
export interface Usage {
  /** Undefined if another connection may be opened; it then counts. Otherwise the reason to refuse it. */
  admit(): EgressReason | undefined;
  /** A connection has ended. */
  release(): void;
  /** Counts an intercepted connection until disposed. Undefined if the sandbox has as many as it may have. */
  intercept(): Disposable | undefined;
  /** Counts bytes. Returns how many milliseconds to wait before the next ones of this direction, Infinity: for ever. */
  count(direction: Direction, bytes: number): number;
  isUsedUp(): boolean;
  /** What counts against the byte limit. Undefined without such a limit: then nothing is counted. */
  usedBytes(): number | undefined;
  /** Counts at least this much. */
  raise(usedBytes: number): void;
  useLimits(limits: Limits): void;
}

/** `usedBytes` count already: those of earlier runs of the sandbox. `onUsedUp` is called when the byte limit is reached. */
export function createUsage(first: Limits, usedBytes = 0, onUsedUp = (): void => undefined): Usage {
  let limits = first;
  let bytes = usedBytes;
  let open = 0;
  let intercepted = 0;
  const always = createTokenBucket(connectionsPerSecondMax, connectionsBurstMax);
  let rate: TokenBucket | undefined;
  let speeds: Readonly<Record<Direction, TokenBucket>> | undefined;
  const useLimits = (next: Limits): void => {
    const { connectionsPerSecond, bytesPerSecond } = next;
    if (rate === undefined || connectionsPerSecond !== limits.connectionsPerSecond)
      rate =
        connectionsPerSecond > 0
          ? createTokenBucket(connectionsPerSecond, Math.max(1, connectionsPerSecond))
          : undefined;
    if (speeds === undefined || bytesPerSecond !== limits.bytesPerSecond) {
      // A tenth of a second at once: more would exceed a small limit visibly, less would make many small waits.
      const bucket = (): TokenBucket => createTokenBucket(bytesPerSecond, bytesPerSecond / 10);
      speeds = bytesPerSecond > 0 ? { sent: bucket(), received: bucket() } : undefined;
    }
    limits = next;
  };
  useLimits(first);
  const isUsedUp = (): boolean => limits.bytes > 0 && bytes >= limits.bytes;
  return {
    admit() {
      if (isUsedUp()) return 'byte_limit';
      if (open >= connectionsMax || (limits.connections > 0 && open >= limits.connections)) return 'connection_limit';
      if (!always.tryTake(1) || rate?.tryTake(1) === false) return 'rate_limit';
      open += 1;
      return undefined;
    },
    release: () => void (open -= 1),
    intercept() {
      if (intercepted >= interceptedMax) return undefined;
      intercepted += 1;
      return { [Symbol.dispose]: () => void (intercepted -= 1) };
    },
    count(direction, count) {
      const wasUsedUp = isUsedUp();
      if (limits.bytes > 0) bytes += count;
      if (isUsedUp()) {
        if (!wasUsedUp) onUsedUp();
        return Infinity;
      }
      return speeds === undefined ? 0 : speeds[direction].take(count);
    },
    isUsedUp,
    usedBytes: () => (limits.bytes > 0 ? bytes : undefined),
    raise: (least) => void (bytes = Math.max(bytes, least)),
    useLimits,
  };
}
