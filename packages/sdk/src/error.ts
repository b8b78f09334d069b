import { callErrorFrom } from '@soulbox/client/connect';

/**
 * The class of an error: a code of the Connect protocol. docs/errors.md lists the code of every reason of the server.
 */
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

/** What a command printed, and how it ended. `exitCode`, `error`, `stdout` and `stderr` are those of e2b 2.51.0. */
export interface CommandResult {
  /** The exit code. -1 if a signal ended the command. */
  readonly exitCode: number;
  /** How the command ended, such as `exit status 1` or `signal: killed`. Absent if the exit code is 0. */
  readonly error?: string | undefined;
  /** Standard output as UTF-8. Invalid bytes become U+FFFD. It is collected in memory without a limit. */
  readonly stdout: string;
  /** Standard error as UTF-8. Invalid bytes become U+FFFD. It is collected in memory without a limit. */
  readonly stderr: string;
  /** Bytes of output that the log had to drop before they could be read. 0 unless the log is `drop-oldest`. */
  readonly lostBytes: number;
}

/** The facts of a {@link SoulBoxError}. Only its constructor takes them, for example in a test double. */
export interface SoulBoxErrorFacts {
  /** The class of the error. */
  readonly code: ErrorCode;
  /** A stable word that is finer than `code`, see {@link SoulBoxError.reason}. */
  readonly reason: string;
  /** The id of the request in the server's log. Default: none. */
  readonly requestId?: string | undefined;
  /** Whether the same call can be made again without a second effect. Default: false. */
  readonly retryable?: boolean;
  /** The HTTP status of the response. Default: none. */
  readonly status?: number | undefined;
  /** What a failed command printed. Default: none. */
  readonly result?: CommandResult | undefined;
  /** The error that led to this one. It becomes the standard property `cause`. Default: none. */
  readonly cause?: unknown;
}

/**
 * The one class of errors of this package. `code` and `reason` are stable; the message is for people and may change. It
 * replaces all error classes of e2b 2.51.0.
 */
export class SoulBoxError extends Error {
  /** Always `SoulBoxError`, also in minified bundles. */
  override readonly name = 'SoulBoxError';
  /** The class of the error, such as `not_found`. */
  readonly code: ErrorCode;
  /**
   * A stable word that is finer than `code`. The server's words are listed in docs/errors.md. Words of this package:
   *
   * - `config_invalid`: a setting is missing or malformed, or a number is out of range.
   * - `unreachable`: the connection broke or could not be made, or a file call had status 502 without a reason.
   * - `timeout`: no response within `requestTimeoutMs`.
   * - `circuit_open`: ten calls in a row failed, so nothing is sent for a while.
   * - `pool_full`, `pool_timeout`: too many calls wait for one server, or waited for 30 s. Nothing was sent.
   * - `aborted`: `signal` or `disconnect` ended the call.
   * - `command_failed`, `command_timeout`: a command failed or was killed at `timeoutMs`. Both set `result`.
   * - `run_failed`, `build_failed`, `copy_failed`: a run, a build or one copy of a fork failed on the server.
   * - `stream_gap`, `stream_overlap`: parts of an output stream do not follow each other.
   * - `stream_ended`: the sandbox ended a watch.
   * - `invalid_response`: a response has another form than the API documents.
   * - `status_N`: the HTTP status N, without a reason of the server.
   * - `unknown`: anything else.
   */
  readonly reason: string;
  /** The id of the request in the server's log. Absent if no response named one. */
  readonly requestId: string | undefined;
  /** The call can be made again: it may succeed later, and nothing would take effect twice. */
  readonly retryable: boolean;
  /** The HTTP status. Undefined if there was no response with one. */
  readonly status: number | undefined;
  /** What the command printed. Set for the reasons `command_failed` and `command_timeout` only. */
  readonly result: CommandResult | undefined;

  /** Programs normally only catch these errors. `message` is for people. */
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
