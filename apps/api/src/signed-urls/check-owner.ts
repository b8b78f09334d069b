import type { SandboxRecord } from '@soulbox/storage';
import { SoulBoxError } from '@soulbox/base';
import type { SignedUrlCheck } from '@soulbox/contract/signed-url-service';
import type { Caller } from '../auth/caller.ts';
import type { ApiContext } from '../context.ts';
import { findOwn, isOfFunction } from '../lookup/sandbox.ts';

/**
 * Throws `forbidden` unless the team of the key owns what the request is for, and the key may see it. The sandbox of a
 * function is not addressed itself.
 */
export async function checkOwner(
  context: ApiContext,
  caller: Caller,
  destination: SignedUrlCheck['destination'],
): Promise<void> {
  const isOwn =
    destination.kind === 'function'
      ? (await context.records.functions.find(destination.name))?.teamId === caller.team.id
      : isPlain(await findOwn(context, caller, destination.sandboxId));
  if (!isOwn) throw new SoulBoxError('forbidden', 'The key that signed the URL has no such sandbox or function.');
}

function isPlain(record: SandboxRecord | undefined): boolean {
  return record !== undefined && !isOfFunction(record);
}
