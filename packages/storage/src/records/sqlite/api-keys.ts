import { timingSafeEqual } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { SoulBoxError } from '@soulbox/base';
import type { ApiKeyRecords } from '../api-keys.ts';
import { canBeKey, lookupOf, oldLookupOf } from '../key-value.ts';
import { insertKey, keyFromRow, rowFromKey } from './api-key-row.ts';
import type { AuditWriter } from './audit-writer.ts';
import { changeWithNote } from './audit-writer.ts';
import { isDuplicate } from './constraint.ts';
import type { KeyPepper } from './key-pepper.ts';

/** Keys with the same public part that are compared. There are a few at most: the part is random. */
const candidatesMax = 64;

/** In constant time. Both are digests, whose length is no secret. */
function isSame(sealed: Buffer, stored: string): boolean {
  const other = Buffer.from(stored);
  return sealed.length === other.length && timingSafeEqual(sealed, other);
}

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteApiKeys(db: DatabaseSync, audit: AuditWriter, pepper: () => KeyPepper): ApiKeyRecords {
  const insert = db.prepare(insertKey);
  // With a bound limit, SQLite would plan the query again at each call.
  const byLookup = db.prepare(`SELECT * FROM api_keys WHERE lookup = ? LIMIT ${candidatesMax}`);
  const byId = db.prepare('SELECT * FROM api_keys WHERE team_id = ? AND id = ?');
  const ofTeam = db.prepare('SELECT * FROM api_keys WHERE team_id = ? ORDER BY created_at, id');
  const rename = db.prepare('UPDATE api_keys SET name = ? WHERE team_id = ? AND id = ?');
  const remove = db.prepare('DELETE FROM api_keys WHERE team_id = ? AND id = ?');
  const touch = db.prepare('UPDATE api_keys SET last_used_at = max(coalesce(last_used_at, 0), ?) WHERE id = ?');

  return {
    create: async (key, value, note) => {
      const { id: pepperId, seal } = pepper();
      const text = value.reveal();
      try {
        changeWithNote(db, audit, note, () => insert.run(...rowFromKey(key), lookupOf(text), seal(text), pepperId));
      } catch (thrown) {
        if (!isDuplicate(thrown)) throw thrown;
        throw new SoulBoxError('name_taken', `API key "${key.id}" already exists.`);
      }
    },
    findByValue: async (presented) => {
      if (!canBeKey(presented)) return undefined;
      const { id: pepperId, seal } = pepper();
      const sealed = Buffer.from(seal(presented));
      // The public part finds the rows. The decision is this comparison, which takes constant time.
      const find = (lookup: string) => byLookup.all(lookup).find((one) => isSame(sealed, String(one['hash'])));
      const row = find(lookupOf(presented)) ?? find(oldLookupOf(presented));
      return row === undefined || row['pepper_id'] !== pepperId ? undefined : keyFromRow(row);
    },
    find: async (teamId, id) => {
      const row = byId.get(teamId, id);
      return row === undefined ? undefined : keyFromRow(row);
    },
    list: async (teamId) => ofTeam.all(teamId).map(keyFromRow),
    rename: async (teamId, id, name, note) => changeWithNote(db, audit, note, () => rename.run(name, teamId, id)),
    remove: async (teamId, id, note) => changeWithNote(db, audit, note, () => remove.run(teamId, id)),
    touch: async (id, usedAt) => void touch.run(usedAt, id),
  };
}
