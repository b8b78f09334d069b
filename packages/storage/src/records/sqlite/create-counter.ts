import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { Creation, CreationLimits } from '../sandboxes.ts';
import { addConsumptionSql, totalDay } from './consumption.ts';

type Creates = NonNullable<Creation['creates']>;

/** Counts the sandboxes that each API key creates. Must be called inside a transaction. */
export interface CreateCounter {
  /** Counts them; or counts nothing, and returns the name of the limit that they would exceed. */
  takeCreates(teamId: string, creates: Creates, limits: CreationLimits): keyof CreationLimits | undefined;
  /** Takes back what a row of `creations` has counted. */
  giveBackCreates(creation: Record<string, SQLOutputValue>): void;
}

export function createCounter(db: DatabaseSync): CreateCounter {
  const add = db.prepare(addConsumptionSql);
  const find = db.prepare('SELECT creates FROM consumption WHERE team_id = ? AND key_id = ? AND day = ?');
  const count = (teamId: string, keyId: string, day: number, creates: number): void => {
    for (const row of [day, totalDay]) add.run(teamId, keyId, row, 0, 0, creates);
  };
  const isBeyond = (limit: number | undefined, teamId: string, { keyId, count: more }: Creates, day: number): boolean =>
    limit !== undefined && Number(find.get(teamId, keyId, day)?.['creates'] ?? 0) + more > limit;

  return {
    takeCreates: (teamId, creates, limits) => {
      if (isBeyond(limits.keyDay, teamId, creates, creates.day)) return 'keyDay';
      if (isBeyond(limits.keyTotal, teamId, creates, totalDay)) return 'keyTotal';
      count(teamId, creates.keyId, creates.day, creates.count);
      return undefined;
    },
    giveBackCreates: (row) => {
      const creates = Number(row['creates']);
      if (creates > 0) count(String(row['team_id']), String(row['key_id']), Number(row['day']), -creates);
    },
  };
}
