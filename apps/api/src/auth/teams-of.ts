import type { Role } from '@soulbox/contract';
import { higherRole } from '@soulbox/storage';
import type { TeamRecord } from '@soulbox/storage';
import type { ApiContext } from '../context.ts';

/** The teams of a user, each with the role that counts, oldest membership first. */
export async function teamsOf(
  { records }: Pick<ApiContext, 'records'>,
  userId: string,
): Promise<{ readonly team: TeamRecord; readonly role: Role }[]> {
  const roles = new Map<string, Role>();
  for (const { teamId, role } of await records.memberships.listOfUser(userId))
    roles.set(teamId, higherRole(role, roles.get(teamId) ?? role));
  const teams = await Promise.all(
    [...roles].map(async ([teamId, role]) => ({ team: await records.teams.find(teamId), role })),
  );
  return teams.filter((entry): entry is { team: TeamRecord; role: Role } => entry.team !== undefined);
}
