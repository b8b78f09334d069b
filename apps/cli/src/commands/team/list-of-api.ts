import { callApi } from '../../api/call.ts';
import type { ApiConnection } from '../../api/connection.ts';
import type { ApiTeam } from '../../api/wire.ts';
import { printList } from '../../output/print-list.ts';

/** Prints the team of the key, or the teams of the person. */
export async function listTeamsOfApi(api: ApiConnection, args: { readonly json?: boolean | undefined }): Promise<void> {
  const teams = (await callApi<readonly ApiTeam[]>(api, { path: '/teams' })).body;
  // The response contains the credential.
  const shown = teams.map(({ teamID, name, isDefault }) => ({ id: teamID, name, isDefault }));
  printList(
    shown,
    { ID: ({ id }) => id, NAME: ({ name }) => name, DEFAULT: ({ isDefault }) => (isDefault ? 'yes' : '') },
    args,
  );
}
