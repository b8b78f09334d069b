import type { Secret } from '@soulbox/base';
import { SoulBoxError } from '@soulbox/base';
import type { SessionRecord, UserRecord } from '@soulbox/storage';
import type { FastifyRequest } from 'fastify';

/** A signed-in person, and how they are known. */
export type Person = { readonly user: UserRecord } & (
  | { readonly via: 'session'; readonly session: SessionRecord }
  | { readonly via: 'token'; readonly tokenId: string; readonly token: Secret; readonly expiresAt: number }
);

declare module 'fastify' {
  interface FastifyRequest {
    /** Null or undefined if no person sent the request. */
    person: Person | null | undefined;
  }
}

/** The person behind a route that requires one. */
export function personOf(request: FastifyRequest): Person {
  if (request.person === null || request.person === undefined)
    throw new SoulBoxError('internal', 'The route has no person.');
  return request.person;
}

/** The id of the session or of the token. */
export function credentialId(person: Person): string {
  return person.via === 'session' ? person.session.id : person.tokenId;
}
