import { SoulBoxError } from '@soulbox/base';
import type { TeamRecord } from '@soulbox/storage';
import type { ApiContext } from '../context.ts';

/**
 * The key of a team's archive in the blob store. Teams never share an archive, because the hash is only the client's
 * claim.
 */
export function fileKeyOf({ id }: Pick<TeamRecord, 'id'>, hash: string): string {
  return `${id}/${hash}`;
}

/**
 * Whether the team has uploaded the file. A file that is found counts as used now. One that is cut, readable or of other
 * records is not found, so that the client uploads it again; damage in its middle is found by the build.
 */
export async function findFile(context: ApiContext, team: TeamRecord, hash: string): Promise<boolean> {
  if ((await context.records.buildFiles.use(team.id, hash, context.clock.now())) === undefined) return false;
  const key = fileKeyOf(team, hash);
  const found = await context.files.stat(key);
  if (found === undefined) return false;
  // Beside readable ones, this would read the whole file.
  if (context.fileKeys.mayBeReadable) return true;
  try {
    // Opens the header and the last block.
    (await context.files.read(key, { offset: found.sizeBytes, length: 0 }))?.destroy();
    return true;
  } catch (err) {
    if (!(err instanceof SoulBoxError) || err.reason !== 'state_damaged') throw err;
    context.logger.error({ team: team.id, hash, err }, 'build file is damaged and must be uploaded again');
    return false;
  }
}
