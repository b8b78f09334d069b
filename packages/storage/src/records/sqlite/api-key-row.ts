import type { SQLOutputValue } from 'node:sqlite';
import type { Role, Scope } from '@soulbox/contract';
import type { ApiKeyRecord } from '../api-keys.ts';

/** The lists were written by `rowFromKey` and are trusted. */
export function keyFromRow(row: Record<string, SQLOutputValue>): ApiKeyRecord {
  const optional = (name: string): number | undefined => (row[name] === null ? undefined : Number(row[name]));
  return {
    id: String(row['id']),
    teamId: String(row['team_id']),
    name: String(row['name']),
    mask: {
      prefix: String(row['prefix']),
      valueLength: Number(row['value_length']),
      maskedValuePrefix: String(row['masked_prefix']),
      maskedValueSuffix: String(row['masked_suffix']),
    },
    createdAt: Number(row['created_at']),
    isolation: String(row['isolation']),
    scopes: wordsOf(row['scopes']) as Scope[],
    role: row['role'] === '' ? undefined : (String(row['role']) as Role),
    templates: JSON.parse(String(row['templates'])) as string[],
    expiresAt: optional('expires_at'),
    lastUsedAt: optional('last_used_at'),
  };
}

/** The values of a row, in the order of the columns that `insertKey` names. */
export function rowFromKey(key: ApiKeyRecord): (string | number | null)[] {
  const { mask } = key;
  return [
    ...[key.id, key.teamId, key.name, mask.prefix, mask.valueLength, mask.maskedValuePrefix, mask.maskedValueSuffix],
    ...[key.createdAt, key.lastUsedAt ?? null, key.isolation],
    ...[key.scopes.join(' '), key.role ?? '', JSON.stringify(key.templates), key.expiresAt ?? null],
  ];
}

/** Followed by the lookup, the hash and the id of the pepper. */
export const insertKey = `
  INSERT INTO api_keys
    (id, team_id, name, prefix, value_length, masked_prefix, masked_suffix, created_at, last_used_at, isolation,
     scopes, role, templates, expires_at, lookup, hash, pepper_id)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

function wordsOf(value: SQLOutputValue | undefined): string[] {
  return String(value)
    .split(' ')
    .filter((word) => word !== '');
}
