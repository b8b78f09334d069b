import type { ApiContext } from '../context.ts';
import { fileKeyOf } from './find.ts';

/** Deletes at most `limit` uploads that no build has asked for since `before`. Gives their number. */
export async function purgeFiles(context: ApiContext, before: number, limit: number): Promise<number> {
  const unused = await context.records.buildFiles.listUnused(before, limit);
  for (const { teamId, hash } of unused) {
    // The row first: whoever asks from now on is told to upload it again.
    if (await context.records.buildFiles.remove(teamId, hash, before))
      await context.files.delete(fileKeyOf({ id: teamId }, hash));
  }
  return unused.length;
}
