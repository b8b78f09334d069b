import { headers } from '@soulbox/contract';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Caller } from '../auth/caller.ts';
import type { ApiContext } from '../context.ts';
import { followDescription, isFollowed, sendFollowed } from '../http/send-followed.ts';
import type { News } from '../http/send-followed.ts';
import { errors } from '../http/schemas.ts';
import { pageCharsMax } from '../limits.ts';
import { eventSchema, eventToWire, eventTypeSchema } from './to-wire.ts';

/** Limit of paging by offset. `after` costs the same everywhere. */
const offsetMax = 100_000;
/** Events of a stream that are read at once. */
const followedPage = 100;

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

interface Wanted {
  readonly caller: Caller;
  readonly sandboxId: string | undefined;
  readonly query: ListQuery;
}

/** The parts of the schema that every list of events has. */
export const pageSchema = {
  description:
    'A page can have fewer events than `limit` if their metadata is large. The response header `X-Next-After` (oldest first) or ' +
    '`X-Next-Offset` (newest first) tells where the next page begins. The last page does not have it. ' +
    `${followDescription} Each line has \`event\`. It begins after \`after\`, by default with the next event.`,
  querystring: listQuery,
  response: { 200: z.array(eventSchema), ...errors(400) },
};

/** Sends the page, or the events from the page on if the client asks for a stream. */
export async function sendEvents(
  context: ApiContext,
  wanted: Wanted,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<Awaited<ReturnType<typeof readPage>>> {
  if (!isFollowed(request)) return await readPage(context, wanted, reply);
  return await sendFollowed(context, request, reply, followEvents(context, wanted));
}

function followEvents(context: ApiContext, { caller, sandboxId, query }: Wanted): () => Promise<News> {
  const list = async (after: number, order: 'asc' | 'desc', limit: number) =>
    await context.records.events.list({
      ...{ teamId: caller.team.id, sandboxId, types: query.types, offset: 0, limit },
      ...{ after, order, maxChars: pageCharsMax },
    });
  let { after } = query;
  return async () => {
    after ??= (await list(0, 'desc', 1)).events[0]?.sequence ?? 0;
    const { events, hasMore } = await list(after, 'asc', followedPage);
    after = events.at(-1)?.sequence ?? after;
    return { lines: events.map((event) => ({ event: eventToWire(event) })), hasMore };
  };
}

/** Sets the header with the start of the next page when there is one. A page of large events ends early. */
async function readPage(context: ApiContext, { caller, sandboxId, query }: Wanted, reply: FastifyReply) {
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
