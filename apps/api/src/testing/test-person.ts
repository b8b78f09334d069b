import { randomUUID } from 'node:crypto';
import type { Role } from '@soulbox/contract';
import { createPeopleSecrets } from '../people/people-secrets.ts';
import { signingRoot } from './test-api.ts';
import type { TestApi } from './test-api.ts';
import { peopleOrigin } from './test-people.ts';

/** For a server with people who have already signed in: their provider is never asked. */
export const signedInPeople = { apiUrl: peopleOrigin, oidcIssuer: 'https://sso.example', oidcClientId: 'soulbox' };

/** A user with a personal token and a session. */
export interface TestPerson {
  readonly userId: string;
  readonly tokenId: string;
  /** As a key for the first team of `roles`. */
  readonly key: string;
  /** As pages of the server send them for that team, with the token for changes. */
  readonly session: Readonly<Record<string, string>>;
}

const dayMs = 24 * 3600 * 1000;

/** `roles`: by team. `endAt`: of the token and the session. Default: in a day. */
export async function makePerson(
  { records }: TestApi,
  roles: Readonly<Record<string, Role>>,
  { endAt = Date.now() + dayMs, teamId = Object.keys(roles)[0] ?? '' }: { endAt?: number; teamId?: string } = {},
): Promise<TestPerson> {
  const secrets = createPeopleSecrets(signingRoot);
  const userId = randomUUID();
  const email = `${userId}@example.com`;
  await records.users.create(
    {
      ...{ id: userId, issuer: signedInPeople.oidcIssuer, subject: userId, email, name: 'A person', createdAt: 1 },
      lastSignInAt: 1,
    },
    10_000,
  );
  for (const [id, role] of Object.entries(roles))
    await records.memberships.put({ userId, teamId: id, role, source: 'operator', createdAt: 1 });
  const token = secrets.createToken();
  const tokenId = randomUUID();
  const shared = { userId, createdAt: 1, expiresAt: endAt };
  await records.personalTokens.create(
    {
      ...shared,
      id: tokenId,
      hash: token.hash,
      name: 't',
      suffix: token.value.slice(-4),
      isOfProgram: false,
      lastUsedAt: undefined,
    },
    50,
  );
  const session = secrets.createSession();
  const id = randomUUID();
  await records.sessions.create({ ...shared, id, hash: session.hash, seenAt: Date.now(), providerSid: '' }, 20);
  return {
    ...{ userId, tokenId, key: `${token.value}_${teamId}` },
    session: {
      ...{ cookie: `__Host-soulbox_session=${session.value}`, origin: peopleOrigin, 'sec-fetch-site': 'same-origin' },
      ...{ 'x-team-id': teamId, 'x-csrf-token': secrets.csrfTokenOf(id) },
    },
  };
}
