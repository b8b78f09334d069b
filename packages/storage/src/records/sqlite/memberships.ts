import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import { SoulBoxError } from '@soulbox/base';
import type { Role } from '@soulbox/contract';
import { higherRole } from '../memberships.ts';
import type { MembershipChange, MembershipRecord, MembershipRecords } from '../memberships.ts';
import { changeWithNote } from './audit-writer.ts';
import type { AuditWriter } from './audit-writer.ts';
import { isMissingParent } from './constraint.ts';
import { inTransaction } from './transaction.ts';

// The table checks roles and sources.
const roleOf = (row: Record<string, SQLOutputValue>): Role => String(row['role']) as Role;

function membershipFromRow(row: Record<string, SQLOutputValue>): MembershipRecord {
  return {
    userId: String(row['user_id']),
    teamId: String(row['team_id']),
    role: roleOf(row),
    source: String(row['source']) as MembershipRecord['source'],
    createdAt: Number(row['created_at']),
  };
}

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteMemberships(db: DatabaseSync, audit: AuditWriter): MembershipRecords {
  const put = db.prepare(
    `INSERT INTO memberships VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (user_id, team_id, source) DO UPDATE SET role = excluded.role`,
  );
  const remove = db.prepare('DELETE FROM memberships WHERE user_id = ? AND team_id = ? AND source = ?');
  const ofUser = db.prepare('SELECT * FROM memberships WHERE user_id = ? ORDER BY created_at, team_id, source');
  const ofTeam = db.prepare('SELECT * FROM memberships WHERE team_id = ? ORDER BY created_at, user_id, source');
  const roles = db.prepare('SELECT role FROM memberships WHERE user_id = ? AND team_id = ?');
  const team = db.prepare('SELECT 1 FROM teams WHERE id = ?');

  return {
    put: async ({ userId, teamId, role, source, createdAt }, note) => {
      try {
        changeWithNote(db, audit, note, () => put.run(userId, teamId, role, source, createdAt));
      } catch (thrown) {
        if (!isMissingParent(thrown)) throw thrown;
        const missing = team.get(teamId) === undefined ? 'team' : 'user';
        throw new SoulBoxError(`${missing}_not_found`, `The ${missing} was not found.`);
      }
    },
    remove: async (userId, teamId, note) =>
      changeWithNote(db, audit, note, () => remove.run(userId, teamId, 'operator')),
    replaceGroups: async (userId, wanted, now, noteOf) =>
      inTransaction(db, () => {
        const present = new Map(
          ofUser
            .all(userId)
            .map(membershipFromRow)
            .filter(({ source }) => source === 'group')
            .map(({ teamId, role }) => [teamId, role]),
        );
        const changes: MembershipChange[] = [];
        for (const { teamId, role } of wanted) {
          const before = present.get(teamId);
          present.delete(teamId);
          if (before === role || team.get(teamId) === undefined) continue;
          put.run(userId, teamId, role, 'group', now);
          changes.push({ change: before === undefined ? 'add' : 'change', teamId });
        }
        for (const teamId of present.keys()) {
          remove.run(userId, teamId, 'group');
          changes.push({ change: 'remove', teamId });
        }
        for (const change of changes) audit.write(noteOf(change));
        return changes;
      }),
    findRole: async (userId, teamId) =>
      roles
        .all(userId, teamId)
        .map(roleOf)
        .reduce<Role | undefined>((best, role) => (best === undefined ? role : higherRole(best, role)), undefined),
    listOfUser: async (userId) => ofUser.all(userId).map(membershipFromRow),
    listOfTeam: async (teamId) => ofTeam.all(teamId).map(membershipFromRow),
  };
}
