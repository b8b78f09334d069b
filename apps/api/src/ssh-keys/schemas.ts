import { SoulBoxError } from '@soulbox/base';
import { isKeyTemplate, keyTemplatesMax, normalTemplate } from '@soulbox/contract';
import type { SshKeyRecord } from '@soulbox/storage';
import { z } from 'zod';
import { nameSchema } from '../api-keys/schemas.ts';
import { quoteForError } from '../http/quote-for-error.ts';
import { timeSchema, timeToWire } from '../http/schemas.ts';

/** Of a public key of 16,384 bits with a long comment. */
const lineMax = 8192;

const publicKey = z
  .string()
  .min(1)
  .max(lineMax)
  .describe('One line, as in `id_ed25519.pub`. Its comment is the default of the name.');
const expiresAt = z.iso.datetime({ offset: true }).optional();

export const newSshKeySchema = z
  .object({
    publicKey,
    name: nameSchema.optional(),
    templates: z
      .array(z.string().transform(normalTemplate).refine(isKeyTemplate, 'must be an id or a name without a tag'))
      .max(keyTemplatesMax)
      .optional()
      .describe('Restricts the key to sandboxes of these templates, by id or name without a tag. Default: all.'),
    expiresAt: expiresAt.describe('Default: when the key of this request expires.'),
  })
  .meta({ id: 'NewSSHKey' });

export const newPersonalSshKeySchema = z
  .object({
    publicKey,
    name: nameSchema.optional(),
    expiresAt: expiresAt.describe('Default: never, or when the personal token of this request expires.'),
  })
  .meta({ id: 'NewPersonalSSHKey' });

export const sshKeySchema = z
  .object({
    sshKeyID: z.string(),
    name: z.string(),
    algorithm: z.string().describe('Such as `ssh-ed25519`.'),
    fingerprint: z.string().describe('As OpenSSH shows it.'),
    templates: z.array(z.string()).nullable().describe('The templates to which it is restricted. Null: all.'),
    createdAt: timeSchema,
    expiresAt: timeSchema.nullable().describe('Null: it does not expire.'),
    lastUsed: timeSchema.nullable().describe('Accurate to one minute.'),
  })
  .meta({ id: 'SSHKey' });

export const sshKeyParams = z.object({ sshKeyID: z.string() });

export function sshKeyToWire(record: SshKeyRecord): z.infer<typeof sshKeySchema> {
  const { id: sshKeyID, name, algorithm, fingerprint, templates, createdAt, expiresAt, lastUsedAt } = record;
  return {
    ...{ sshKeyID, name, algorithm, fingerprint, createdAt: timeToWire(createdAt) },
    templates: templates.length === 0 ? null : [...templates],
    expiresAt: expiresAt === undefined ? null : timeToWire(expiresAt),
    lastUsed: lastUsedAt === undefined ? null : timeToWire(lastUsedAt),
  };
}

export function sshKeyNotFound(id: string): SoulBoxError {
  return new SoulBoxError('key_not_found', `SSH key ${quoteForError(id)} was not found.`);
}
