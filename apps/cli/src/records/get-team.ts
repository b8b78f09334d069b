import { SoulBoxError } from '@soulbox/base';
import type { Records, TeamRecord } from '@soulbox/storage';

/**
 * The team with this id or name; the default team for undefined. Throws `team_not_found`, and `bad_request` when
 * several teams have the name.
 */
export async function getTeam(records: Records, text: string | undefined): Promise<TeamRecord> {
  const teams = await records.teams.list();
  const matches = teams.filter(({ id, name, isDefault }) =>
    text === undefined ? isDefault : id === text || name === text,
  );
  const [team] = matches;
  if (team === undefined)
    throw new SoulBoxError(
      'team_not_found',
      `Team ${JSON.stringify(text ?? 'default')} was not found. List the teams with "soulbox team list".`,
    );
  if (matches.length > 1)
    throw new SoulBoxError('bad_request', `${matches.length} teams are named ${JSON.stringify(text)}. Use the id.`);
  return team;
}
