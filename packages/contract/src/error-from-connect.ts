import { Code, ConnectError } from '@connectrpc/connect';
import { reasons, SoulBoxError } from '@soulbox/base';
import type { Reason } from '@soulbox/base';
import { reasonHeader } from './error-to-connect.ts';

/** The way back: what a SoulBox process threw on the other side of a call. */
export function errorFromConnect(thrown: unknown): SoulBoxError {
  if (thrown instanceof SoulBoxError) return thrown;
  const error = ConnectError.from(thrown);
  const reason = error.metadata.get(reasonHeader);
  if (reason !== null && Object.hasOwn(reasons, reason))
    return new SoulBoxError(reason as Reason, error.rawMessage, { cause: thrown });
  // No reason: not an answer of the other side, but of the way to it (refused, reset, past its deadline).
  if (error.code === Code.Unavailable || error.code === Code.DeadlineExceeded || error.code === Code.Canceled)
    return new SoulBoxError('runner_unavailable', 'The runner cannot be reached right now. Retry in a moment.', {
      cause: thrown,
    });
  return new SoulBoxError('internal', 'An internal error occurred. The server log has the details.', { cause: thrown });
}
