import type { TeamRecord } from '@soulbox/storage';
import type { ApiContext } from '../context.ts';

/**
 * The key of a team's archive in the blob store. Teams never share an archive, because the hash is only the client's
 * claim.
 */
export function fileKeyOf({ id }: Pick<TeamRecord, 'id'>, hash: string): string {
  return `${id}/${hash}`;
}

/** Whether the team has uploaded the file. A file that is found counts as used now. */
export async function findFile(context: ApiContext, team: TeamRecord, hash: string): Promise<boolean> {
  if ((await context.records.buildFiles.use(team.id, hash, context.clock.now())) === undefined) return false;
  return (await context.files.stat(fileKeyOf(team, hash))) !== undefined;
}
