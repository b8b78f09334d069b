import { scopesOfRole } from '@soulbox/contract';
import type { Role } from '@soulbox/contract';
import type { AuditNote } from './audit.ts';

/** That a user belongs to a team. A user can have one membership of each source in a team; the higher role counts. */
export interface MembershipRecord {
  readonly userId: string;
  readonly teamId: string;
  readonly role: Role;
  /** `group`: from the groups that the provider names. Each sign-in replaces those. */
  readonly source: 'operator' | 'group';
  readonly createdAt: number;
}

export interface MembershipChange {
  readonly change: 'add' | 'change' | 'remove';
  readonly teamId: string;
}

export interface MembershipRecords {
  /** Throws `team_not_found` and `user_not_found`. */
  put(membership: MembershipRecord, note?: AuditNote): Promise<void>;
  remove(userId: string, teamId: string, note?: AuditNote): Promise<boolean>;
  /**
   * Makes these the user's memberships by groups, as one step with the records of what changes. Those of teams that do
   * not exist are left out.
   */
  replaceGroups(
    userId: string,
    wanted: readonly Pick<MembershipRecord, 'teamId' | 'role'>[],
    now: number,
    noteOf: (change: MembershipChange) => AuditNote,
  ): Promise<MembershipChange[]>;
  /** The role of a user in a team: the higher one, if there are two. Undefined: no member. */
  findRole(userId: string, teamId: string): Promise<Role | undefined>;
  listOfUser(userId: string): Promise<MembershipRecord[]>;
  listOfTeam(teamId: string): Promise<MembershipRecord[]>;
}

/** The higher of two roles: each has all scopes of those below. */
export function higherRole(one: Role, other: Role): Role {
  return scopesOfRole(one).length >= scopesOfRole(other).length ? one : other;
}
