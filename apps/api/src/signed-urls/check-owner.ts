import { SoulBoxError } from '@soulbox/base';
import { functionMetadataKey } from '@soulbox/contract/functions';
import type { SignedUrlCheck } from '@soulbox/contract/signed-url-service';
import type { ApiContext } from '../context.ts';

/** Throws `forbidden` unless the team owns what the request is for. The sandbox of a function is not addressed itself. */
export async function checkOwner(
  { records }: ApiContext,
  teamId: string,
  destination: SignedUrlCheck['destination'],
): Promise<void> {
  const isOwn =
    destination.kind === 'function'
      ? (await records.functions.find(destination.name))?.teamId === teamId
      : isPlain(await records.sandboxes.findOwn(teamId, destination.sandboxId));
  if (!isOwn) throw new SoulBoxError('forbidden', 'The key that signed the URL has no such sandbox or function.');
}

function isPlain(record: { readonly metadata: Readonly<Record<string, string>> } | undefined): boolean {
  return record !== undefined && record.metadata[functionMetadataKey] === undefined;
}
