import { SoulBoxError } from '@soulbox/base';
import type { Clock } from '@soulbox/base';
import { scopesOfRole } from '@soulbox/contract';
import type { Role, Scope } from '@soulbox/contract';
import type { Grant } from '@soulbox/contract/signed-url';
import type { ApiKeyRecord, Records, SigningKeyRecord, TeamRecord } from '@soulbox/storage';
import type { ApiConfig } from '../config.ts';
import { isLive } from '../keys/is-live.ts';
import { whyEnded } from '../keys/key-watch.ts';

/** The ids that a signed URL names: the signing key, and through what it was signed. */
export type SignerIds = Pick<Grant, 'keyId' | 'signerId'>;

/** Through what a URL was signed: an API key, or a person's session or personal token. */
export interface Signer {
  readonly team: TeamRecord;
  readonly by:
    | { readonly kind: 'key'; readonly apiKey: ApiKeyRecord }
    | {
        readonly kind: 'person';
        readonly via: 'session' | 'token';
        /** Of the session or the token. */
        readonly id: string;
        readonly userId: string;
        /** Of the person in the team, now. */
        readonly role: Role;
        readonly expiresAt: number;
      };
}

export function scopesOfSigner({ by }: Signer): readonly Scope[] {
  return by.kind === 'key' ? by.apiKey.scopes : scopesOfRole(by.role);
}

export interface SignerParts {
  readonly records: Records;
  readonly clock: Clock;
  readonly config: Pick<ApiConfig, 'oidcIssuer' | 'sessionIdleMinutes'>;
}

/** Throws `unauthorized` if the signing key, the team, or that through which the URL was signed, has ended. */
export async function getSigner(
  key: SigningKeyRecord | undefined,
  { signerId }: SignerIds,
  parts: SignerParts,
): Promise<Signer> {
  const { records, clock } = parts;
  const now = clock.now();
  if (key === undefined || (key.endsAt !== undefined && now >= key.endsAt))
    throw new SoulBoxError('unauthorized', 'Unauthorized, the key of the signed URL was replaced.');
  const team = await records.teams.find(key.teamId);
  if (team === undefined) throw new SoulBoxError('unauthorized', 'Unauthorized, the team was deleted.');
  const apiKey = await records.apiKeys.find(team.id, signerId);
  if (apiKey === undefined) return { team, by: await getPerson(team.id, signerId, parts) };
  if (whyEnded(apiKey, now) !== undefined)
    throw new SoulBoxError('unauthorized', 'Unauthorized, the API key behind the signed URL has expired.');
  return { team, by: { kind: 'key', apiKey } };
}

type PersonalSigner = Signer['by'] & { kind: 'person' };

async function getPerson(teamId: string, id: string, parts: SignerParts): Promise<PersonalSigner> {
  const { records, config } = parts;
  const found = (await findSession(id, parts)) ?? (await findToken(id, parts));
  const user = found === undefined ? undefined : await records.users.find(found.userId);
  // A user of another provider than the configured one is nobody.
  if (found === undefined || user === undefined || config.oidcIssuer === '' || user.issuer !== config.oidcIssuer)
    throw new SoulBoxError('unauthorized', 'Unauthorized, the key or session behind the signed URL was ended.');
  const role = await records.memberships.findRole(user.id, teamId);
  if (role === undefined)
    throw new SoulBoxError('unauthorized', 'Unauthorized, the person who signed the URL has left the team.');
  return { kind: 'person', id, role, ...found };
}

type Found = Pick<PersonalSigner, 'via' | 'userId' | 'expiresAt'>;

/** A use of the URL is no use of the session: it does not keep it alive. */
async function findSession(id: string, { records, clock, config }: SignerParts): Promise<Found | undefined> {
  const session = await records.sessions.find(id);
  if (session === undefined || !isLive(session, clock.now(), config.sessionIdleMinutes * 60_000)) return undefined;
  return { via: 'session', userId: session.userId, expiresAt: session.expiresAt };
}

async function findToken(id: string, { records, clock }: SignerParts): Promise<Found | undefined> {
  const token = await records.personalTokens.find(id);
  if (token === undefined || token.expiresAt <= clock.now()) return undefined;
  return { via: 'token', userId: token.userId, expiresAt: token.expiresAt };
}
