import { teamLimitNames, teamLimits } from '@soulbox/contract';
import { callApi } from '../../api/call.ts';
import type { ApiConnection } from '../../api/connection.ts';
import type { ApiTeamLimits } from '../../api/wire.ts';
import { printList } from '../../output/print-list.ts';
import { findOwnTeam } from './own-team.ts';

/** Prints the limits of a team, of that of the key by default. A change needs the token of the operator. */
export async function limitTeamOfApi(
  api: ApiConnection,
  teamId: string | undefined,
  changes: Readonly<Record<string, number | null | 'default'>>,
  args: { readonly json?: boolean | undefined },
): Promise<void> {
  const id = teamId ?? (await findOwnTeam(api)).teamID;
  const path = `/teams/${encodeURIComponent(id)}/limits`;
  const call = Object.keys(changes).length === 0 ? { path } : ({ method: 'PATCH', path, body: changes } as const);
  const { body } = await callApi<ApiTeamLimits>(api, call);
  printList(
    teamLimitNames.map((name) => {
      const { value, isDefault } = body[name];
      const shown = value ?? 'none';
      return { name, value: isDefault ? `default (${shown})` : shown, help: teamLimits[name].help };
    }),
    { LIMIT: ({ name }) => name, VALUE: ({ value }) => value, MEANING: ({ help }) => help },
    args,
  );
}
