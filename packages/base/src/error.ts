import { isDiskFull } from './disk-full.ts';
import type { ErrorCode } from './error-code.ts';
import type { Reason } from './reasons.ts';
import { reasons } from './reasons.ts';

/**
 * The one error class of SoulBox.
 *
 * - `reason`: a stable word, finer than `code` (docs/errors.md). It determines `code`.
 * - `message`: safe for the caller. It says what failed, with which value, and what to do.
 * - `cause`: for the log only, never sent to a caller.
 */
export class SoulBoxError extends Error {
  readonly code: ErrorCode;
  readonly reason: Reason;
  /** Whole seconds after which a repetition can succeed. Undefined if that is not known. */
  readonly retryAfterSeconds: number | undefined;

  constructor(reason: Reason, message: string, options?: { cause?: unknown; retryAfterSeconds?: number }) {
    super(message, options);
    this.name = 'SoulBoxError';
    this.reason = reason;
    this.retryAfterSeconds = options?.retryAfterSeconds;
    this.code = reasons[reason].code;
  }
}

/** These reasons only say which step failed. `disk_full` says more. */
const vague: readonly Reason[] = ['internal', 'sandbox_start_failed', 'checkpoint_failed', 'sandbox_resume_failed'];

/**
 * Turns any thrown value into a SoulBoxError. An unknown error becomes `internal` with a bland message. If a full disk
 * caused it, it becomes `disk_full` instead, whichever part noticed it.
 */
export function errorFromUnknown(thrown: unknown): SoulBoxError {
  if (thrown instanceof SoulBoxError && !vague.includes(thrown.reason)) return thrown;
  if (isDiskFull(thrown))
    return new SoulBoxError('disk_full', 'There is no space left on the disk. Free some space, then retry.', {
      cause: thrown,
    });
  if (thrown instanceof SoulBoxError) return thrown;
  return new SoulBoxError('internal', 'An internal error occurred. The server log has the details.', { cause: thrown });
}
