import { SoulBoxError } from '@soulbox/base';
import type { Reason } from '@soulbox/base';
import { errorFromConnect } from '@soulbox/contract/connect-errors';
import { printable } from './printable.ts';

/** The reasons that are accepted from envd for a call that was made in the tenant's name. */
const believed = new Set<Reason>([
  'bad_request',
  'bad_path',
  'not_a_directory',
  'file_not_found',
  'file_exists',
  'unknown_user',
  'forbidden',
  'link_loop',
  'disk_full',
  'limit_exceeded',
]);
/** Maximum characters of a message. It goes to the tenant; if envd did not write it, the tenant's code did. */
const messageMax = 400;

/** envd is hostile. A reason that would mean something to the server, such as an ended sandbox, is not passed on. */
export function errorFromEnvd(thrown: unknown): SoulBoxError {
  // This error comes from this side, not from envd.
  if (thrown instanceof SoulBoxError) return thrown;
  const error = errorFromConnect(thrown);
  if (believed.has(error.reason)) {
    return new SoulBoxError(error.reason, printable(error.message.slice(0, messageMax)), { cause: thrown });
  }
  return new SoulBoxError('sandbox_unreachable', 'The envd of the sandbox returned an invalid response.', {
    cause: thrown,
  });
}
