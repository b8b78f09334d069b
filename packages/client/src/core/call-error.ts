/** Connect's names of codes (connectrpc.com/docs/protocol#error-codes). */
export type CallErrorCode =
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

export interface CallErrorFacts {
  readonly code: CallErrorCode;
  /** A stable word that is finer than `code`, from the server or from `ownReasons`. */
  readonly reason: string;
  /** The id of the request in the server's log. Absent if no response named one. */
  readonly requestId?: string | undefined;
  /** The call can be made again: it may succeed later, and nothing would take effect twice. */
  readonly retryable: boolean;
  /** The wait that the server asked for, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
  /** The HTTP status, if there was a response. */
  readonly status?: number | undefined;
  readonly cause?: unknown;
}

/** The reasons that this package gives itself. All others come from the server. */
export const ownReasons = {
  aborted: 'aborted',
  /** Too many failures in a row: nothing is sent to this target for a while. */
  circuitOpen: 'circuit_open',
  /** The connection broke or could not be made. */
  unreachable: 'unreachable',
  /** No response in time. */
  timeout: 'timeout',
  /** More calls wait for a connection than are allowed. */
  poolFull: 'pool_full',
  /** No connection became free in time. */
  poolTimeout: 'pool_timeout',
  poolClosed: 'pool_closed',
  /** The server sent a later part of a stream before an earlier one. */
  streamGap: 'stream_gap',
  /** The server sent parts of a stream that overlap in a way that cannot be undone. */
  streamOverlap: 'stream_overlap',
  /** A response that is no valid response of the protocol, or is too large. */
  invalidResponse: 'invalid_response',
  unknown: 'unknown',
} as const;

/** The one form in which calls fail. */
export class CallError extends Error {
  override readonly name = 'CallError';
  readonly code: CallErrorCode;
  readonly reason: string;
  readonly requestId: string | undefined;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  readonly status: number | undefined;

  constructor(message: string, facts: CallErrorFacts) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = facts.code;
    this.reason = facts.reason;
    this.requestId = facts.requestId;
    this.retryable = facts.retryable;
    this.retryAfterMs = facts.retryAfterMs;
    this.status = facts.status;
  }
}
