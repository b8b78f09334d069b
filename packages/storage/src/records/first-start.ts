import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { Secret } from '@soulbox/base';
import type { AuditNote } from './audit.ts';
import type { ApiKeyRecord } from './api-keys.ts';
import type { Records } from './records.ts';
import type { TeamRecord } from './teams.ts';

/** E2B's Python client accepts only `e2b_` and lower-case hexadecimal digits. */
const keyPrefix = 'e2b_';
const keyBytes = 20;

/** The team of a single-machine server; created at the first call. */
export async function ensureDefaultTeam(records: Records): Promise<TeamRecord> {
  const existing = await records.teams.findDefault();
  if (existing !== undefined) return existing;
  const team = { id: randomUUID(), name: 'default', isDefault: true, createdAt: Date.now() };
  await records.teams.create(team);
  return team;
}

/** The stored form of a key, by which a presented key is looked up: its SHA-256 in hexadecimal digits. */
export function hashApiKey(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

/**
 * Creates a key of a team. Only `key` in the result contains the value: just the hash and a mask are stored.
 * `isolation`: see ApiKeyRecord. `noteOf`: the record for the
 * audit log.
 */
export async function createApiKey(
  records: Records,
  team: Pick<TeamRecord, 'id'>,
  name: string,
  isolation = '',
  noteOf?: (record: ApiKeyRecord) => AuditNote,
): Promise<{ key: Secret; record: ApiKeyRecord }> {
  const value = randomBytes(keyBytes).toString('hex');
  const key = keyPrefix + value;
  const record: ApiKeyRecord = {
    id: randomUUID(),
    teamId: team.id,
    name,
    hash: hashApiKey(key),
    mask: {
      prefix: keyPrefix,
      valueLength: value.length,
      maskedValuePrefix: value.slice(0, 2),
      maskedValueSuffix: value.slice(-4),
    },
    createdAt: Date.now(),
    isolation,
    lastUsedAt: undefined,
  };
  await records.apiKeys.create(record, noteOf?.(record));
  return { key: new Secret(key), record };
}
