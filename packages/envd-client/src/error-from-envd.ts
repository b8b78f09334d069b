import { SoulBoxError } from '@soulbox/base';
import type { Reason } from '@soulbox/base';
import { errorFromConnect } from '@soulbox/contract';
import { printable } from './printable.ts';

/** What envd may say of a call that was made in the tenant's name. */
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
/** A message goes on to the tenant, who wrote it if it is not envd's. */
const messageMax = 400;

/** envd is hostile: a reason of its own that would mean something to the server, such as an ended sandbox, is not passed on. */
export function errorFromEnvd(thrown: unknown): SoulBoxError {
  // Not envd's: one of this side's own.
  if (thrown instanceof SoulBoxError) return thrown;
  const error = errorFromConnect(thrown);
  if (believed.has(error.reason)) {
    return new SoulBoxError(error.reason, printable(error.message.slice(0, messageMax)), { cause: thrown });
  }
  return new SoulBoxError('sandbox_unreachable', 'The envd of the sandbox returned an invalid response.', {
    cause: thrown,
  });
}
