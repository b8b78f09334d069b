import type { ApiKeyRecord, TeamRecord } from '@soulbox/storage';
import type { Signer } from '../signing/signer.ts';
import { scopesOfRole } from './scopes.ts';
import type { Role, Scope } from './scopes.ts';

/** The caller: the team that the key belongs to, and what the key may do. A person is one for a team of theirs. */
export interface Caller {
  readonly team: TeamRecord;
  /** What the request was sent with, as errors call it. */
  readonly kind: 'API key' | 'session' | 'personal token' | 'SSH key';
  /** Id of the key, session or token. */
  readonly keyId: string;
  /** The isolation that the key sets for requests that specify none. Empty: none. */
  readonly isolation: string;
  readonly scopes: readonly Scope[];
  /** The references of templates to which the key is restricted. Empty: it is not restricted. */
  readonly templates: readonly string[];
  /** When the key expires, and everything that gets its rights from it. Undefined: never. */
  readonly expiresAt: number | undefined;
}

export function callerFromKey(team: TeamRecord, key: ApiKeyRecord): Caller {
  const { id: keyId, isolation, scopes, templates, expiresAt } = key;
  return { team, kind: 'API key', keyId, isolation, scopes, templates, expiresAt };
}

/** A person who signed has what they have at this moment. */
export function callerFromSigner({ team, by }: Signer): Caller {
  if (by.kind === 'key') return callerFromKey(team, by.apiKey);
  return callerFromPerson(team, by);
}

/** A person as a caller for a team of theirs. They are not restricted to templates. */
export function callerFromPerson(
  team: TeamRecord,
  person: { readonly via: 'session' | 'token'; readonly id: string; readonly role: Role; readonly expiresAt: number },
): Caller {
  const { via, id, role, expiresAt } = person;
  return {
    kind: via === 'session' ? 'session' : 'personal token',
    ...{ team, keyId: id, isolation: '', scopes: scopesOfRole(role), templates: [] },
    // What a person makes in a browser may outlast the session. A token that was stolen must not outlive its own end.
    expiresAt: via === 'session' ? undefined : expiresAt,
  };
}

/** Whether the caller may use the insides of sandboxes. Only then do answers contain the tokens of sandboxes. */
export function mayRun({ scopes }: Pick<Caller, 'scopes'>): boolean {
  return scopes.includes('run');
}
