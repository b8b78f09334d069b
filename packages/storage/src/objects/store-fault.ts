import { SoulBoxError } from '@soulbox/base';
import type { Reason } from '@soulbox/base';

interface FaultOptions {
  readonly cause?: unknown;
  /** The same attempt may succeed later. By default so for `storage_unavailable` and `storage_throttled`. */
  readonly isTransient?: boolean | undefined;
  readonly retryAfterMs?: number | undefined;
}

/** Why an attempt failed. Callers of an object store see the SoulBoxError that it becomes. */
export class StoreFault extends Error {
  override readonly name = 'StoreFault';
  /** `range`: the object has no bytes there. */
  readonly reason: Reason | 'range';
  readonly isTransient: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(reason: Reason | 'range', message: string, options: FaultOptions = {}) {
    super(message, { cause: options.cause });
    this.reason = reason;
    this.isTransient = options.isTransient ?? (reason === 'storage_unavailable' || reason === 'storage_throttled');
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** An error that the driver did not expect is a defect of ours. */
export function errorFromFault(thrown: unknown): Error {
  if (!(thrown instanceof StoreFault)) return thrown instanceof Error ? thrown : new Error(String(thrown));
  const { reason, message, retryAfterMs } = thrown;
  return new SoulBoxError(reason === 'range' ? 'internal' : reason, message, {
    cause: thrown.cause ?? thrown,
    ...(retryAfterMs === undefined ? {} : { retryAfterSeconds: Math.ceil(retryAfterMs / 1000) }),
  });
}
