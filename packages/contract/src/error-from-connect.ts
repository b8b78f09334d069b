import { Code, ConnectError } from '@connectrpc/connect';
import { reasons, SoulBoxError } from '@soulbox/base';
import type { Reason } from '@soulbox/base';
import { headers } from './headers.ts';

/** The error that a caller gets for a process that cannot be reached. */
interface Absence {
  readonly reason: Reason;
  readonly message: string;
}

const runnerAway: Absence = {
  reason: 'runner_unavailable',
  message: 'The runner cannot be reached right now. Retry in a moment.',
};

export const controlAway: Absence = {
  reason: 'control_unavailable',
  message: 'The control plane cannot be reached right now. Retry in a moment.',
};

/**
 * The opposite of `connectErrorFromError`: restores the error that a SoulBox process, by default the runner, threw on
 * the other side of a call.
 */
export function errorFromConnect(thrown: unknown, away: Absence = runnerAway): SoulBoxError {
  if (thrown instanceof SoulBoxError) return thrown;
  const error = ConnectError.from(thrown);
  const reason = error.metadata.get(headers.reason);
  if (reason !== null && Object.hasOwn(reasons, reason))
    return new SoulBoxError(reason as Reason, error.rawMessage, { cause: thrown });
  // Without a reason, the error is not from the other side but from the connection to it (refused, reset, past its
  // deadline).
  if (error.code === Code.Unavailable || error.code === Code.DeadlineExceeded || error.code === Code.Canceled)
    return new SoulBoxError(away.reason, away.message, { cause: thrown });
  return new SoulBoxError('internal', 'An internal error occurred. The server log has the details.', { cause: thrown });
}
