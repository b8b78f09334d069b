import type { ApiKeyRecord, TeamRecord } from '@soulbox/storage';
import type { Scope } from './scopes.ts';

/** The caller: the team that the key belongs to, and what the key may do. A person is one for a team of theirs. */
export interface Caller {
  readonly team: TeamRecord;
  /** What the request was sent with, as errors call it. */
  readonly kind: 'API key' | 'session' | 'personal token';
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

/** Whether the caller may use the insides of sandboxes. Only then do answers contain the tokens of sandboxes. */
export function mayRun({ scopes }: Pick<Caller, 'scopes'>): boolean {
  return scopes.includes('run');
}
