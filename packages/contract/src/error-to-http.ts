import { SoulBoxError } from '@soulbox/base';
import type { ErrorCode, Reason } from '@soulbox/base';

const statusByCode = {
  invalid_argument: 400,
  unauthenticated: 401,
  permission_denied: 403,
  not_found: 404,
  already_exists: 409,
  failed_precondition: 409,
  resource_exhausted: 429,
  unimplemented: 501,
  unavailable: 503,
  deadline_exceeded: 504,
  canceled: 499,
  data_loss: 500,
  unknown: 500,
  internal: 500,
} as const satisfies Record<ErrorCode, number>;

/** Reasons for which HTTP has a finer status than their code. A full disk is 507, as E2B's envd answers it. */
const statusByReason: Partial<Record<Reason, number>> = {
  disk_full: 507,
  method_not_allowed: 405,
  request_timeout: 408,
  body_too_large: 413,
  unsupported_media_type: 415,
};

export interface HttpErrorBody {
  readonly code: number;
  readonly message: string;
}

/** Status of an error on HTTP. */
export function httpStatusFromError(error: SoulBoxError): number {
  return statusByReason[error.reason] ?? statusByCode[error.code];
}

/**
 * The error as whoever called may see it: one that nobody expected says what the host knows, paths and all, to the log only.
 */
export function errorForCaller(error: SoulBoxError): SoulBoxError {
  if (error.reason !== 'internal') return error;
  return new SoulBoxError('internal', 'An internal error occurred. The server log has the details.', { cause: error });
}

/** The body that every official client reads: the status again as a number, and the text. Exactly these keys. */
export function httpBodyFromError(error: SoulBoxError): HttpErrorBody {
  return { code: httpStatusFromError(error), message: error.message };
}
