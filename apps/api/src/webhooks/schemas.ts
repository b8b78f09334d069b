import { SoulBoxError } from '@soulbox/base';
import type { Place } from '@soulbox/keyring';
import type { WebhookRecord } from '@soulbox/storage';
import { z } from 'zod';
import { eventTypeSchema } from '../events/to-wire.ts';
import { timeSchema, timeToWire } from '../http/schemas.ts';
import { quoteForError } from '../http/quote-for-error.ts';

/** Characters. A shorter secret could be guessed from one signed delivery. */
const secretMin = 8;

const name = z
  .string()
  .trim()
  .min(1)
  .max(512)
  .refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text), 'must not contain control characters');

const url = z
  .string()
  .max(2048)
  .refine((text) => isWebUrl(text), 'must be an http or https URL without user and password')
  .describe('http or https. Private and local targets are refused unless the server allows them.');

const events = z
  .array(eventTypeSchema)
  .min(1)
  .max(20)
  .transform((types) => [...new Set(types)]);

const signatureSecret = z
  .string()
  .min(secretMin)
  .max(1024)
  .refine((text) => text.isWellFormed(), 'must not contain a broken surrogate pair')
  .describe('Secret that signs each delivery. It is never returned again.');

export const newWebhookSchema = z
  .object({ name, url, enabled: z.boolean().default(true), events, signatureSecret })
  .meta({ id: 'NewWebhook' });

export const changesSchema = z
  .object({ name, url, enabled: z.boolean(), events, signatureSecret })
  .partial()
  .meta({ id: 'WebhookChanges' });

export const webhookParams = z.object({ webhookID: z.string() });

export const webhookSchema = z
  .object({
    id: z.uuid(),
    teamId: z.string(),
    name: z.string(),
    url: z.string(),
    enabled: z.boolean(),
    events: z.array(eventTypeSchema),
    createdAt: timeSchema,
  })
  .meta({ id: 'Webhook' });

/** Where the secret that signs the deliveries of a webhook is stored. */
export const placeOfWebhookSecret = ({ id, teamId }: Pick<WebhookRecord, 'id' | 'teamId'>): Place => ({
  table: 'webhooks',
  row: id,
  field: 'signature_secret',
  team: teamId,
});

export function webhookToWire(webhook: WebhookRecord): z.infer<typeof webhookSchema> {
  const { id, teamId, createdAt } = webhook;
  return {
    ...{ id, teamId, name: webhook.name, url: webhook.url, enabled: webhook.enabled },
    events: [...webhook.events],
    createdAt: timeToWire(createdAt),
  };
}

/** Credentials in a URL are refused, because every list would show them. */
function isWebUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return (protocol === 'http:' || protocol === 'https:') && username === '' && password === '';
}

export function webhookNotFound(id: string): SoulBoxError {
  return new SoulBoxError('webhook_not_found', `Webhook ${quoteForError(id)} was not found.`);
}
