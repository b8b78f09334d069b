import { createKeyOfNewTeam } from './new-team.ts';
import { server } from './server.ts';

/** A valid key of another team of the server. */
export async function createStrangerKey(teamName: string): Promise<string> {
  return await createKeyOfNewTeam(server.dataDirectory, teamName);
}
