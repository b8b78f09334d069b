import type { z } from 'zod';
import { readJson } from '@soulbox/rpc/http-call';
import type { VolumeAnswer } from '../volume-service/volume-service.ts';
import { entrySchema } from './schemas.ts';

/** The volume service parses what sandboxes have written, so its answers are checked. */
export async function readEntry(answer: VolumeAnswer): Promise<z.infer<typeof entrySchema>> {
  return entrySchema.parse(await readJson(answer.body));
}
