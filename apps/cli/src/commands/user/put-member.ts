import type { Role } from '@soulbox/contract';
import type { Records } from '@soulbox/storage';
import { operatorNote } from '../../records/operator-note.ts';

/** Makes a user a member of a team, or changes the role, with a record in the team's audit log. */
export async function putMember(records: Records, userId: string, teamId: string, role: Role): Promise<void> {
  const present = (await records.memberships.listOfUser(userId)).some(
    (membership) => membership.teamId === teamId && membership.source === 'operator',
  );
  const note = operatorNote({
    ...{ action: present ? 'member.change' : 'member.add', teamId, target: { kind: 'user', id: userId } },
    facts: { role },
  });
  await records.memberships.put({ userId, teamId, role, source: 'operator', createdAt: Date.now() }, note);
}
