import { SoulBoxError } from '@soulbox/base';
import type { Isolation, Role, Scope } from '@soulbox/contract';
import type { ApiKeyBudgets } from '../../api/wire.ts';

/** A key as commands print it, without its value. */
export interface ShownKey {
  readonly id: string;
  readonly name: string;
  /** Its first and last characters. */
  readonly key: string;
  readonly isolation: string | null;
  readonly role: Role | null;
  readonly scopes: readonly Scope[];
  readonly templates: readonly string[] | null;
  readonly createdAt: string;
  readonly expiresAt: string | null;
  readonly lastUsedAt: string | null;
}

export interface NewKey {
  readonly name: string;
  readonly isolation: Isolation | undefined;
  readonly role: Role | undefined;
  /** All, with those of the role. */
  readonly scopes: readonly Scope[];
  /** Neither a role nor scopes were named: the widest that is possible. */
  readonly isOpen: boolean;
  readonly templates: readonly string[];
  /** Unix milliseconds. */
  readonly expiresAt: number | undefined;
}

export type Budget = Pick<ApiKeyBudgets['budgets'][number], 'kind' | 'period' | 'amount'>;

/** The keys of a team. Methods throw `key_not_found` for an unknown id. */
export interface KeyStore extends AsyncDisposable {
  list(): Promise<readonly ShownKey[]>;
  /** Returns the value of the key as `key`. */
  create(wanted: NewKey): Promise<ShownKey>;
  rename(id: string, name: string): Promise<void>;
  revoke(id: string): Promise<void>;
  listBudgets(id: string): Promise<readonly Budget[]>;
  setBudgets(id: string, budgets: readonly Budget[]): Promise<void>;
}

/** The key with this id, or with this name if it is unique. Throws `key_not_found` and `bad_request`. */
export async function getKey(store: KeyStore, text: string): Promise<ShownKey> {
  const matches = (await store.list()).filter(({ id, name }) => id === text || name === text);
  const [match] = matches;
  if (match === undefined) throw keyNotFound(text);
  if (matches.length > 1)
    throw new SoulBoxError('bad_request', `${matches.length} keys are named ${JSON.stringify(text)}. Use the id.`);
  return match;
}

export function keyNotFound(text: string): SoulBoxError {
  return new SoulBoxError(
    'key_not_found',
    `API key ${JSON.stringify(text)} was not found. List the keys with "soulbox key list".`,
  );
}
