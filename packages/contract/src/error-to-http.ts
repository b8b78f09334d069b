import { SoulBoxError } from '@soulbox/base';
import type { ErrorCode, Reason } from '@soulbox/base';

const statusByCode = {
  invalid_argument: 400,
  unauthenticated: 401,
  permission_denied: 403,
  not_found: 404,
  already_exists: 409,
  failed_precondition: 409,
  out_of_range: 400,
  resource_exhausted: 429,
  unimplemented: 501,
  unavailable: 503,
  deadline_exceeded: 504,
  canceled: 499,
  data_loss: 500,
  unknown: 500,
  internal: 500,
} as const satisfies Record<ErrorCode, number>;

/** Reasons for which HTTP has a more precise status than for their code. A full disk is 507, as in E2B's envd. */
const statusByReason: Partial<Record<Reason, number>> = {
  disk_full: 507,
  range_not_satisfiable: 416,
  method_not_allowed: 405,
  request_timeout: 408,
  body_too_large: 413,
  unsupported_media_type: 415,
  idempotency_key_reused: 422,
};

export interface HttpErrorBody {
  readonly code: number;
  readonly message: string;
}

/** The HTTP status of an error. */
export function httpStatusFromError(error: SoulBoxError): number {
  return statusByReason[error.reason] ?? statusByCode[error.code];
}

/**
 * The error as the caller may see it. The message of an unexpected error can contain facts about the host such as
 * paths, so it only goes to the log.
 */
export function errorForCaller(error: SoulBoxError): SoulBoxError {
  if (error.reason !== 'internal') return error;
  return new SoulBoxError('internal', 'An internal error occurred. The server log has the details.', { cause: error });
}

/** The body that every official client reads: the status as a number, and the text. Exactly these keys. */
export function httpBodyFromError(error: SoulBoxError): HttpErrorBody {
  return { code: httpStatusFromError(error), message: error.message };
}
