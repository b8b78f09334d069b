import { SoulBoxError } from '@soulbox/base';
import type { BucketRecord, TeamRecord } from '@soulbox/storage';
import { z } from 'zod';
import type { ApiContext } from '../context.ts';
import { quoteForError } from '../http/quote-for-error.ts';

export const bucketParams = z.object({ bucketID: z.string().describe('Id or name of the bucket.') });

/** `b` and 20 characters of `[a-z0-9]`. No name has this form, so a path parameter names one bucket. */
export const bucketIdForm = /^b[a-z0-9]{20}$/;

/** A bucket of the team by its id or its name. Throws `bucket_not_found`. */
export async function getBucket({ records }: ApiContext, team: TeamRecord, idOrName: string): Promise<BucketRecord> {
  const found = bucketIdForm.test(idOrName)
    ? await records.buckets.findById(team.id, idOrName)
    : await records.buckets.findByName(team.id, idOrName);
  if (found === undefined) throw bucketNotFound(idOrName);
  return found;
}

export function bucketNotFound(idOrName: string): SoulBoxError {
  return new SoulBoxError('bucket_not_found', `Bucket ${quoteForError(idOrName)} was not found.`);
}
