import { randomUUID } from 'node:crypto';
import type { Secret } from '@soulbox/base';
import { orderScopes, scopes } from '@soulbox/contract';
import type { Role, Scope } from '@soulbox/contract';
import type { AuditNote } from './audit.ts';
import type { ApiKeyRecord } from './api-keys.ts';
import { createKeyValue, maskOf } from './key-value.ts';
import type { Records } from './records.ts';
import type { TeamRecord } from './teams.ts';

/** The team of a single-machine server; created at the first call. */
export async function ensureDefaultTeam(records: Records): Promise<TeamRecord> {
  const existing = await records.teams.findDefault();
  if (existing !== undefined) return existing;
  const team = { id: randomUUID(), name: 'default', isDefault: true, createdAt: Date.now() };
  await records.teams.create(team);
  return team;
}

/** What a key gets besides its name. */
export interface ApiKeyOptions {
  /** See ApiKeyRecord. Default: none. */
  readonly isolation?: string | undefined;
  /** Default: all. */
  readonly scopes?: readonly Scope[] | undefined;
  readonly role?: Role | undefined;
  /** Default: it is not restricted to templates. */
  readonly templates?: readonly string[] | undefined;
  /** Default: it does not expire. */
  readonly expiresAt?: number | undefined;
  /** The record for the audit log. */
  readonly noteOf?: (record: ApiKeyRecord) => AuditNote;
}

/** Creates a key of a team. Only `key` in the result contains the value: just an HMAC and a mask are stored. */
export async function createApiKey(
  records: Records,
  team: Pick<TeamRecord, 'id'>,
  name: string,
  { isolation = '', scopes: given = scopes, role, templates = [], expiresAt, noteOf }: ApiKeyOptions = {},
): Promise<{ key: Secret; record: ApiKeyRecord }> {
  const key = createKeyValue();
  const record: ApiKeyRecord = {
    ...{ id: randomUUID(), teamId: team.id, name, mask: maskOf(key), createdAt: Date.now() },
    ...{ isolation, scopes: orderScopes(given), role, templates, expiresAt, lastUsedAt: undefined },
  };
  await records.apiKeys.create(record, key, noteOf?.(record));
  return { key, record };
}
