import { ConnectError } from '@connectrpc/connect';
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
  return new SoulBoxError('internal', 'An internal error occurred. The server log has the details.', { cause: thrown });
}
