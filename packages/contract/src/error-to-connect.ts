import { Code, ConnectError } from '@connectrpc/connect';
import type { ErrorCode, SoulBoxError } from '@soulbox/base';
import { headers } from './headers.ts';

const connectCodes = {
  invalid_argument: Code.InvalidArgument,
  unauthenticated: Code.Unauthenticated,
  permission_denied: Code.PermissionDenied,
  not_found: Code.NotFound,
  already_exists: Code.AlreadyExists,
  failed_precondition: Code.FailedPrecondition,
  out_of_range: Code.OutOfRange,
  resource_exhausted: Code.ResourceExhausted,
  unimplemented: Code.Unimplemented,
  unavailable: Code.Unavailable,
  deadline_exceeded: Code.DeadlineExceeded,
  canceled: Code.Canceled,
  data_loss: Code.DataLoss,
  unknown: Code.Unknown,
  internal: Code.Internal,
} as const satisfies Record<ErrorCode, Code>;

export function connectErrorFromError(error: SoulBoxError): ConnectError {
  return new ConnectError(
    error.message,
    connectCodes[error.code],
    { [headers.reason]: error.reason },
    undefined,
    error,
  );
}
