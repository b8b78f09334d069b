import { SoulBoxError } from '@soulbox/base';
import type { Place } from '@soulbox/keyring';
import type { SecretRecord } from '@soulbox/storage';
import { z } from 'zod';
import { quoteForError } from '../http/quote-for-error.ts';
import { timeSchema, timeToWire } from '../http/schemas.ts';
import { stringMap } from '../http/string-map.ts';
import { secretHosts } from './hosts.ts';

/** Precedes ids on the wire. No name begins with it, so a path parameter names one secret. */
export const idPrefix = 'sec_';
const nameMax = 128;
/** Bytes in UTF-8. A value becomes a part of a header, and no server accepts longer ones. */
const valueMax = 64 * 1024;
/** Those of E2B; bytes. */
const metadataLimits = { entries: 32, keyBytes: 128, valueBytes: 1024 } as const;
const metadataMax = 8192;

const name = z
  .string()
  .min(1)
  .max(nameMax)
  .regex(/^[a-zA-Z0-9_-]+$/, 'may only contain letters, digits, "_" and "-"')
  .transform((text) => text.toLowerCase())
  .refine((text) => !text.startsWith(idPrefix), `must not begin with "${idPrefix}", which is for ids`)
  .describe('Unique in the team. It is stored in lower case.');

const value = z
  .string()
  .min(1)
  .max(valueMax)
  .refine((text) => Buffer.byteLength(text) <= valueMax, `must have at most ${valueMax} bytes`)
  .refine((text) => text.isWellFormed(), 'must not contain a broken surrogate pair')
  .describe('Encrypted at rest and never returned.');

const metadata = stringMap(metadataLimits, 'Shown in lists. Not encrypted.').refine(
  (map) => Object.entries(map).reduce((sum, pair) => sum + Buffer.byteLength(pair.join('')), 0) <= metadataMax,
  `must have at most ${metadataMax} bytes in all`,
);

export const newSecretSchema = z
  .object({ name, value, metadata: metadata.default({}), hosts: secretHosts.default([]) })
  .meta({ id: 'NewSecret' });

export const changedHostsSchema = z.object({ hosts: secretHosts }).meta({ id: 'SecretHosts' });

export const newVersionSchema = z
  .object({ value, metadata: metadata.optional().describe('If absent, unchanged.') })
  .meta({ id: 'SecretUpdate' });

export const secretParams = z.object({ secretID: z.string().describe('Id or name of the secret.') });

export const secretSchema = z
  .object({
    secretID: z.string().describe(`\`${idPrefix}\` and 20 characters of \`[a-z0-9]\``),
    name: z.string(),
    currentVersion: z.int().describe('From 1 on.'),
    metadata: z.record(z.string(), z.string()),
    hosts: z.array(z.string()).describe('Of all versions. Empty: none are named.'),
    createdAt: timeSchema,
    updatedAt: timeSchema,
  })
  .meta({ id: 'Secret', description: 'A secret, without its value.' });

export function secretToWire(secret: SecretRecord): z.infer<typeof secretSchema> {
  const { id, currentVersion, metadata: own, hosts, createdAt, updatedAt } = secret;
  return {
    ...{ secretID: idPrefix + id, name: secret.name, currentVersion, metadata: { ...own }, hosts: [...hosts] },
    ...{ createdAt: timeToWire(createdAt), updatedAt: timeToWire(updatedAt) },
  };
}

/** Where the value of a version is stored. */
export const placeOfVersion = ({ id, teamId }: Pick<SecretRecord, 'id' | 'teamId'>, number: number): Place => ({
  table: 'secret_versions',
  row: id,
  field: `version ${number}`,
  team: teamId,
});

export function secretNotFound(idOrName: string): SoulBoxError {
  return new SoulBoxError('secret_not_found', `Secret ${quoteForError(idOrName)} was not found.`);
}
