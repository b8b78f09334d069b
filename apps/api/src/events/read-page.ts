import { headers } from '@soulbox/contract';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import type { Caller } from '../auth/caller.ts';
import type { ApiContext } from '../context.ts';
import { errors } from '../http/schemas.ts';
import { pageCharsMax } from '../limits.ts';
import { eventSchema, eventToWire, eventTypeSchema } from './to-wire.ts';

/** Limit of paging by offset. `after` costs the same everywhere. */
const offsetMax = 100_000;

const listQuery = z.object({
  offset: z.coerce.number().int().min(0).max(offsetMax).default(0),
  limit: z.coerce.number().int().min(1).max(100).default(10),
  orderAsc: z
    .enum(['true', 'false'])
    .transform((text) => text === 'true')
    .optional()
    .describe('Whether the oldest events come first. Default: true with `after`, otherwise false.'),
  types: z
    .union([z.string().transform((text) => text.split(',')), z.array(z.string())])
    .pipe(z.array(eventTypeSchema).max(20))
    .default([])
    .describe('Can be repeated. Default: all.'),
  after: z.coerce
    .number()
    .int()
    .min(0)
    .optional()
    .describe('Return only events with a higher `sequence`. SoulBox extension.'),
});

type ListQuery = z.infer<typeof listQuery>;

/** The parts of the schema that every list of events has. */
export const pageSchema = {
  description:
    'A page can have fewer events than `limit` if their metadata is large. The response header `X-Next-After` (oldest first) or ' +
    '`X-Next-Offset` (newest first) tells where the next page begins. The last page does not have it.',
  querystring: listQuery,
  response: { 200: z.array(eventSchema), ...errors(400) },
};

/** Sets the header with the start of the next page when there is one. A page of large events ends early. */
export async function readPage(
  context: ApiContext,
  { caller, sandboxId, query }: { caller: Caller; sandboxId: string | undefined; query: ListQuery },
  reply: FastifyReply,
) {
  const { offset, limit, types, after, orderAsc = after !== undefined } = query;
  const { events, hasMore } = await context.records.events.list({
    ...{ teamId: caller.team.id, sandboxId, types, offset, limit },
    after: after ?? 0,
    order: orderAsc ? 'asc' : 'desc',
    maxChars: pageCharsMax,
  });
  const last = events.at(-1);
  if (hasMore && last !== undefined) {
    if (orderAsc) void reply.header(headers.nextAfter, String(last.sequence));
    else void reply.header(headers.nextOffset, String(offset + events.length));
  }
  return events.map(eventToWire);
}
