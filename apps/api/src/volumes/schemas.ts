import { SoulBoxError } from '@soulbox/base';
import type { VolumeRecord } from '@soulbox/storage';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import { timeSchema, timeToWire } from '../http/schemas.ts';
import { volumeIdForm } from '../lookup/volume.ts';
import type { VolumeService } from '../volume-service/volume-service.ts';

/** Characters. */
export const volumeNameMax = 128;
const sizeMbMax = 1024 * 1024 * 1024;

const name = z
  .string()
  .min(1)
  .max(volumeNameMax)
  .regex(/^[a-zA-Z0-9_-]+$/, 'may only contain letters, digits, "_" and "-"')
  .refine((text) => !volumeIdForm.test(text), 'must not have the form of an id')
  .describe('Unique in the team.');

const sizeMb = z.int().min(1).max(sizeMbMax);

export const newVolumeSchema = z
  .object({
    name,
    sizeMb: sizeMb
      .optional()
      .describe('MiB that its contents may have. Default: only the limit of the team. SoulBox extension.'),
    from: z
      .string()
      .min(1)
      .max(volumeNameMax)
      .optional()
      .describe(
        'Id or name of a volume of the team. The new one begins with what this has now, and shares the data with it. Default: it is empty. SoulBox extension.',
      ),
    readOnly: z
      .boolean()
      .default(false)
      .describe('A snapshot: nothing in it can be changed. Only with `from`. SoulBox extension.'),
  })
  .refine(({ from, readOnly }) => !readOnly || from !== undefined, {
    message: 'An empty volume cannot be read-only: name a volume in "from".',
  })
  .meta({ id: 'NewVolume' });

export const volumeSchema = z
  .object({
    volumeID: z.string().describe('`v` and 20 characters of `[a-z0-9]`'),
    name: z.string(),
    sizeMb: sizeMb.nullable().describe('MiB that its contents may have; null: only the limit of the team.'),
    from: z.string().nullable().describe('Id of the volume of which it is a copy. It may be gone.'),
    readOnly: z.boolean(),
    createdAt: timeSchema,
  })
  .meta({ id: 'Volume', description: 'A volume of the team.' });

export const volumeAndTokenSchema = volumeSchema
  .extend({
    token: z
      .string()
      .describe(
        'For the routes of the contents, as `Authorization: Bearer`. It may do what the caller may do there, and ends with their API key, session or token.',
      ),
  })
  .meta({ id: 'VolumeAndToken', description: 'A volume with a token for its contents.' });

export const volumeUsageSchema = z
  .object({
    bytes: z.int().describe('Of its contents, as they count against `sizeMb` and the limit of the team.'),
    entries: z.int().describe('Files, folders and links, with the root.'),
    sizeMb: sizeMb.nullable().describe('MiB that its contents may have; null: only the limit of the team.'),
  })
  .meta({ id: 'VolumeUsage', description: 'What a volume contains.' });

export function volumeToWire({
  id,
  name: called,
  sizeMb: size,
  sourceId,
  isReadOnly,
  createdAt,
}: VolumeRecord): z.infer<typeof volumeSchema> {
  const own = { volumeID: id, name: called, sizeMb: size ?? null };
  return { ...own, from: sourceId ?? null, readOnly: isReadOnly, createdAt: timeToWire(createdAt) };
}

export async function withToken(
  { volumeTokens }: ApiContext,
  request: FastifyRequest,
  volume: VolumeRecord,
): Promise<z.infer<typeof volumeAndTokenSchema>> {
  const { team, keyId: signerId } = callerOf(request);
  return { ...volumeToWire(volume), token: await volumeTokens.sign({ teamId: team.id, signerId }, volume.id) };
}

/** Throws `not_implemented` on a server without volumes. */
export function getVolumeService({ volumes }: ApiContext): VolumeService {
  if (volumes !== undefined) return volumes;
  throw new SoulBoxError('not_implemented', 'Volumes are not available on this server.');
}
