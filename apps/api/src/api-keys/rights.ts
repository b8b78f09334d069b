import { SoulBoxError } from '@soulbox/base';
import type { ApiKeyRecord } from '@soulbox/storage';
import type { Caller } from '../auth/caller.ts';
import { scopesOfRole } from '../auth/scopes.ts';
import type { Role, Scope } from '../auth/scopes.ts';

/** What a caller asks for. */
export interface WantedRights {
  readonly role?: Role | undefined;
  readonly scopes?: readonly Scope[] | undefined;
  readonly templates?: readonly string[] | undefined;
  readonly expiresAt?: number | undefined;
}

/**
 * The rights of a new key. A key never makes a stronger key: what it does not have itself, it cannot give. Without
 * scopes and role, the new key gets those of the caller. Throws `scope_missing` and `bad_request`.
 */
export function rightsOf(
  caller: Caller,
  wanted: WantedRights,
  now: number,
): Pick<ApiKeyRecord, 'role' | 'scopes' | 'templates' | 'expiresAt'> {
  const { role, templates = [], expiresAt = caller.expiresAt } = wanted;
  const scopes = wantedScopes(wanted) ?? defaultScopes(caller, templates);
  const missing = scopes.find((scope) => !caller.scopes.includes(scope));
  if (missing !== undefined)
    throw new SoulBoxError(
      'scope_missing',
      `This ${caller.kind} does not have the scope "${missing}", and cannot create a key that does.`,
    );
  if (templates.length > 0 && scopes.includes('admin'))
    throw new SoulBoxError(
      'bad_request',
      'A key with the scope "admin" cannot be restricted to templates. Choose the role developer or viewer.',
    );
  if (expiresAt !== undefined && expiresAt <= now)
    throw new SoulBoxError('bad_request', 'expiresAt must be in the future.');
  if (caller.expiresAt !== undefined && (expiresAt ?? Infinity) > caller.expiresAt)
    throw new SoulBoxError('scope_missing', `This ${caller.kind} cannot create a key that expires later than itself.`);
  return { role, scopes, templates, expiresAt };
}

/** Undefined if neither a role nor scopes are given. */
function wantedScopes({ role, scopes }: WantedRights): readonly Scope[] | undefined {
  if (role === undefined && scopes === undefined) return undefined;
  return [...(role === undefined ? [] : scopesOfRole(role)), ...(scopes ?? [])];
}

function defaultScopes(caller: Caller, templates: readonly string[]): readonly Scope[] {
  return templates.length === 0 ? caller.scopes : caller.scopes.filter((scope) => scope !== 'admin');
}
