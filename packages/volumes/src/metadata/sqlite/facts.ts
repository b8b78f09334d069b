import type { DatabaseSync } from 'node:sqlite';
import { FuseError } from '@soulbox/fuse';
import type { Quota, Usage } from '../metadata.ts';
import { volumeDamaged } from './errors.ts';

/** The row of the volume, in memory. It is written once for each transaction. */
export interface Counters {
  id: string;
  commit: number;
  generation: number;
  sharedGeneration: number;
  change: number;
  isReadOnly: boolean;
  nextIno: number;
  nextSeq: number;
  usedBytes: number;
  usedInodes: number;
  quotaBytes: number | undefined;
  quotaInodes: number | undefined;
}

export interface Facts {
  readonly now: Counters;
  load(): void;
  save(): void;
  /** Throws EDQUOT if there is no room for this growth, which may be negative. */
  checkRoom(growth: Usage): void;
  grow(growth: Usage): void;
}

const optional = (value: unknown): number | undefined => (value === null ? undefined : Number(value));

export function createFacts(db: DatabaseSync): Facts {
  const select = db.prepare('SELECT * FROM volume');
  const update = db.prepare(
    `UPDATE volume SET commit_number = ?, generation = ?, shared_generation = ?,
       change_number = ?, next_ino = ?, next_seq = ?, used_bytes = ?, used_inodes = ?,
       quota_bytes = ?, quota_inodes = ?`,
  );
  const read = (): Counters => {
    const row = select.get();
    if (row === undefined) throw volumeDamaged();
    return {
      id: String(row['id']),
      commit: Number(row['commit_number']),
      generation: Number(row['generation']),
      sharedGeneration: Number(row['shared_generation']),
      change: Number(row['change_number']),
      isReadOnly: row['is_read_only'] === 1,
      nextIno: Number(row['next_ino']),
      nextSeq: Number(row['next_seq']),
      usedBytes: Number(row['used_bytes']),
      usedInodes: Number(row['used_inodes']),
      quotaBytes: optional(row['quota_bytes']),
      quotaInodes: optional(row['quota_inodes']),
    };
  };
  const now = read();
  return {
    now,
    load: () => void Object.assign(now, read()),
    save() {
      now.commit += 1;
      update.run(
        ...[now.commit, now.generation, now.sharedGeneration, now.change],
        ...[now.nextIno, now.nextSeq, now.usedBytes, now.usedInodes],
        ...[now.quotaBytes ?? null, now.quotaInodes ?? null],
      );
    },
    checkRoom({ bytes, inodes }) {
      if (bytes > 0 && now.quotaBytes !== undefined && now.usedBytes + bytes > now.quotaBytes)
        throw new FuseError('EDQUOT', 'The volume has no bytes left.');
      if (inodes > 0 && now.quotaInodes !== undefined && now.usedInodes + inodes > now.quotaInodes)
        throw new FuseError('EDQUOT', 'The volume has no inodes left.');
    },
    grow({ bytes, inodes }) {
      now.usedBytes += bytes;
      now.usedInodes += inodes;
    },
  };
}

export const quotaOf = ({ quotaBytes, quotaInodes }: Counters): Quota => ({ bytes: quotaBytes, inodes: quotaInodes });
