import { readFile } from 'node:fs/promises';

export const webhookArg = {
  type: 'positional',
  required: true,
  description: 'Its id, as in `soulbox webhook list`',
} as const;

const allEvents = ['created', 'updated', 'paused', 'resumed', 'checkpointed', 'killed'];

export const eventsArg = {
  type: 'string',
  description: `Only these events, separated by commas: ${allEvents.join(', ')}`,
  valueHint: 'EVENT,EVENT',
} as const;

export const pathOf = (id: string): string => `/events/webhooks/${encodeURIComponent(id)}`;

/** The types of events; all of them for undefined. */
export function eventTypes(text: string | undefined): string[] {
  const words = text?.split(',').map((word) => word.trim()) ?? allEvents;
  return words.map((word) => (word.includes('.') ? word : `sandbox.lifecycle.${word}`));
}

export async function readSecretFile(file: string): Promise<string> {
  return (await readFile(file, 'utf8')).trim();
}
