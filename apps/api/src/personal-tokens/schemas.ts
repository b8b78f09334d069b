import type { PersonalTokenRecord } from '@soulbox/storage';
import { z } from 'zod';
import { timeSchema, timeToWire } from '../http/schemas.ts';

export const tokenSchema = z
  .object({
    id: z.uuid(),
    name: z.string(),
    suffix: z.string().describe('The last four characters of the token.'),
    createdAt: timeSchema,
    expiresAt: timeSchema,
    lastUsed: timeSchema.nullable().describe('Accurate to one minute.'),
  })
  .meta({ id: 'PersonalToken' });

export function tokenToWire(record: PersonalTokenRecord): z.infer<typeof tokenSchema> {
  const { id, name, suffix, createdAt, expiresAt, lastUsedAt } = record;
  return {
    ...{ id, name, suffix, createdAt: timeToWire(createdAt), expiresAt: timeToWire(expiresAt) },
    lastUsed: lastUsedAt === undefined ? null : timeToWire(lastUsedAt),
  };
}
