import { SoulBoxError } from '@soulbox/base';
import type { ApiKeyRecord } from '@soulbox/storage';
import { z } from 'zod';
import { roles, scopes } from '../auth/scopes.ts';
import { timeSchema, timeToWire } from '../http/schemas.ts';
import { quoteForError } from '../http/quote-for-error.ts';

export const nameSchema = z
  .string()
  .trim()
  .min(1)
  .max(128)
  .refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text), 'must not contain control characters');

const maskSchema = z.object({
  prefix: z.string(),
  valueLength: z.int(),
  maskedValuePrefix: z.string(),
  maskedValueSuffix: z.string(),
});

export const keySchema = z
  .object({
    id: z.uuid(),
    name: z.string(),
    mask: maskSchema,
    createdAt: timeSchema,
    createdBy: z.null(),
    lastUsed: timeSchema.nullable().describe('Accurate to one minute.'),
    isolation: z.string().nullable().describe('Null: the key does not choose an isolation. SoulBox extension.'),
    role: z.enum(roles).nullable().describe('The role that it was created with. SoulBox extension.'),
    scopes: z.array(z.enum(scopes)).describe('What it may do. SoulBox extension.'),
    templates: z
      .array(z.string())
      .nullable()
      .describe('The templates to which it is restricted. Null: all. SoulBox extension.'),
    expiresAt: timeSchema.nullable().describe('Null: it does not expire. SoulBox extension.'),
  })
  .meta({ id: 'TeamAPIKey' });

export const keyParams = z.object({ apiKeyID: z.string() });

export function keyToWire(record: ApiKeyRecord): z.infer<typeof keySchema> {
  return {
    id: record.id,
    name: record.name,
    mask: record.mask,
    createdAt: timeToWire(record.createdAt),
    createdBy: null,
    lastUsed: record.lastUsedAt === undefined ? null : timeToWire(record.lastUsedAt),
    isolation: record.isolation === '' ? null : record.isolation,
    role: record.role ?? null,
    scopes: [...record.scopes],
    templates: record.templates.length === 0 ? null : [...record.templates],
    expiresAt: record.expiresAt === undefined ? null : timeToWire(record.expiresAt),
  };
}

export function keyNotFound(id: string): SoulBoxError {
  return new SoulBoxError('key_not_found', `API key ${quoteForError(id)} was not found.`);
}
