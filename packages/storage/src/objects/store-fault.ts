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

/** How messages of faults begin, whichever store it is. The words of the store follow. */
export const faultTexts = {
  storage_not_found: 'There is no such object',
  storage_precondition_failed: 'The condition of the call does not hold',
  storage_access_denied: 'The store refuses access',
  storage_throttled: 'The store asks for fewer requests',
  storage_unavailable: 'The store is not available',
  storage_damaged: 'The content was changed on its way',
  storage_unsupported: 'The store does not support the call',
  config_invalid: 'The URL of the store does not fit',
} as const satisfies Partial<Record<Reason, string>>;

export const faultText = (reason: Reason | 'range'): string =>
  (faultTexts as Partial<Record<Reason | 'range', string>>)[reason] ?? 'The store refuses the call';

/** An error that the driver did not expect is a defect of ours. */
export function errorFromFault(thrown: unknown): Error {
  if (!(thrown instanceof StoreFault)) return thrown instanceof Error ? thrown : new Error(String(thrown));
  const { reason, message, retryAfterMs } = thrown;
  return new SoulBoxError(reason === 'range' ? 'internal' : reason, message, {
    cause: thrown.cause ?? thrown,
    ...(retryAfterMs === undefined ? {} : { retryAfterSeconds: Math.ceil(retryAfterMs / 1000) }),
  });
}
