import { SoulBoxError } from '@soulbox/base';
import type { Clock } from '@soulbox/base';
import type { Grant } from '@soulbox/contract/signed-url';
import type { ApiKeyRecord, Records, SigningKeyRecord, TeamRecord } from '@soulbox/storage';
import { whyEnded } from '../keys/key-watch.ts';

/** The keys that a signed URL names. */
export type SignerIds = Pick<Grant, 'keyId' | 'apiKeyId'>;

/** The API key through which a URL was signed. */
export interface Signer {
  readonly team: TeamRecord;
  readonly apiKey: ApiKeyRecord;
}

/** Throws `unauthorized` if the signing key, the API key or the team of a signed URL has ended. */
export async function getSigner(
  key: SigningKeyRecord | undefined,
  { apiKeyId }: SignerIds,
  { records, clock }: { readonly records: Records; readonly clock: Clock },
): Promise<Signer> {
  const now = clock.now();
  if (key === undefined || (key.endsAt !== undefined && now >= key.endsAt))
    throw new SoulBoxError('unauthorized', 'Unauthorized, the key of the signed URL was replaced.');
  const team = await records.teams.find(key.teamId);
  if (team === undefined) throw new SoulBoxError('unauthorized', 'Unauthorized, the team was deleted.');
  const apiKey = await records.apiKeys.find(key.teamId, apiKeyId);
  if (apiKey === undefined)
    throw new SoulBoxError('unauthorized', 'Unauthorized, the API key behind the signed URL was revoked.');
  if (whyEnded(apiKey, now) !== undefined)
    throw new SoulBoxError('unauthorized', 'Unauthorized, the API key behind the signed URL has expired.');
  return { team, apiKey };
}
