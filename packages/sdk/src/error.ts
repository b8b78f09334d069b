import { callErrorFrom } from '@soulbox/client/connect';

/** The classes of errors: the names of Connect's codes. */
export type ErrorCode =
  | 'aborted'
  | 'already_exists'
  | 'canceled'
  | 'data_loss'
  | 'deadline_exceeded'
  | 'failed_precondition'
  | 'internal'
  | 'invalid_argument'
  | 'not_found'
  | 'out_of_range'
  | 'permission_denied'
  | 'resource_exhausted'
  | 'unauthenticated'
  | 'unavailable'
  | 'unimplemented'
  | 'unknown';

/** What a command printed, and how it ended. */
export interface CommandResult {
  /** The exit code. -1 if a signal ended the command. */
  readonly exitCode: number;
  /** How the command ended, such as `exit status 1` or `signal: killed`. Absent if the exit code is 0. */
  readonly error?: string | undefined;
  /** Standard output as UTF-8. Invalid bytes become U+FFFD. */
  readonly stdout: string;
  /** Standard errors as UTF-8. */
  readonly stderr: string;
  /** Bytes of output that the log had to drop before they could be read. 0 unless the log is `drop-oldest`. */
  readonly lostBytes: number;
}

/** The facts of a {@link SoulBoxError}. */
export interface SoulBoxErrorFacts {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly requestId?: string | undefined;
  readonly retryable?: boolean;
  readonly status?: number | undefined;
  readonly result?: CommandResult | undefined;
  readonly cause?: unknown;
}

/** The one class of errors of this package. `code` and `reason` are stable; the message is for people. */
export class SoulBoxError extends Error {
  override readonly name = 'SoulBoxError';
  /** The class of the error, such as `not_found`. */
  readonly code: ErrorCode;
  /**
   * A stable word that is finer than `code`. The server's words are listed in docs/errors.md. Words of this package:
   * `command_failed`, `command_timeout`, `config_invalid`, `unreachable`, `timeout`, `aborted`, `circuit_open`,
   * `stream_gap`, `invalid_response`, `copy_failed`, `run_failed`, `build_failed`, `unknown`.
   */
  readonly reason: string;
  /** The id of the request in the server's log. Absent if no response named one. */
  readonly requestId: string | undefined;
  /** The call can be made again: it may succeed later, and nothing would take effect twice. */
  readonly retryable: boolean;
  /** The HTTP status, if there was a response with an HTTP status. */
  readonly status: number | undefined;
  /** What the command printed, with reason `command_failed` or `command_timeout`. */
  readonly result: CommandResult | undefined;

  constructor(message: string, facts: SoulBoxErrorFacts) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = facts.code;
    this.reason = facts.reason;
    this.requestId = facts.requestId;
    this.retryable = facts.retryable ?? false;
    this.status = facts.status;
    this.result = facts.result;
  }
}

/** Turns anything that a call threw into the one class. @internal */
export function errorFrom(thrown: unknown): SoulBoxError {
  if (thrown instanceof SoulBoxError) return thrown;
  const error = callErrorFrom(thrown);
  const { code, reason, requestId, retryable, status } = error;
  return new SoulBoxError(error.message, { code, reason, requestId, retryable, status, cause: error });
}

/** @internal */
export function rethrow(thrown: unknown): never {
  throw errorFrom(thrown);
}
