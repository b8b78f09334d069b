import type { ApiContext } from '../context.ts';
import { fileKeyOf } from './find.ts';

/** Deletes at most `limit` uploads that no build has requested since `before`. Returns their number. */
export async function purgeFiles(context: ApiContext, before: number, limit: number): Promise<number> {
  const unused = await context.records.buildFiles.listUnused(before, limit);
  for (const { teamId, hash } of unused) {
    // The row is removed first, so that later builds ask for a new upload.
    if (await context.records.buildFiles.remove(teamId, hash, before))
      await context.files.delete(fileKeyOf({ id: teamId }, hash));
  }
  return unused.length;
}
