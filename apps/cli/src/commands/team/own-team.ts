import { SoulBoxError } from '@soulbox/base';
import { callApi } from '../../api/call.ts';
import type { ApiConnection } from '../../api/connection.ts';
import type { ApiTeam } from '../../api/wire.ts';

/** The team for which calls act. A person has several: the API names the credential with which each is used. */
export async function findOwnTeam(api: ApiConnection): Promise<ApiTeam> {
  const teams = (await callApi<readonly ApiTeam[]>(api, { path: '/teams' })).body;
  const team = teams.find(({ apiKey }) => apiKey === api.key.reveal()) ?? teams[0];
  if (team === undefined) throw new SoulBoxError('team_not_found', 'You are not a member of a team.');
  return team;
}
