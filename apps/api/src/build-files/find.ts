import type { TeamRecord } from '@soulbox/storage';
import type { ApiContext } from '../context.ts';

/** Where a team's archive lies in the blob store. Teams never share one: the hash is the client's word alone. */
export function fileKeyOf({ id }: Pick<TeamRecord, 'id'>, hash: string): string {
  return `${id}/${hash}`;
}

/** Whether the team has uploaded it; it then counts as used now. */
export async function findFile(context: ApiContext, team: TeamRecord, hash: string): Promise<boolean> {
  if ((await context.records.buildFiles.use(team.id, hash, context.clock.now())) === undefined) return false;
  return (await context.files.stat(fileKeyOf(team, hash))) !== undefined;
}
