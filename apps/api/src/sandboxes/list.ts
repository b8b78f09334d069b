import { Readable } from 'node:stream';
import { SoulBoxError } from '@soulbox/base';
import { headers } from '@soulbox/contract';
import type { SandboxListQuery } from '@soulbox/storage';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { Caller } from '../auth/caller.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { quoteForError } from '../http/quote-for-error.ts';
import { errors, pageQuery } from '../http/schemas.ts';
import { pageCharsMax } from '../limits.ts';
import { permittedTemplateIds } from '../lookup/permitted-templates.ts';
import { findTemplateId } from '../lookup/template.ts';
import { parseTemplateReference } from '../names/reference.ts';
import { aliveAfter, hiddenMetadata } from '../lookup/sandbox.ts';
import { parseMetadataFilter } from './metadata-filter.ts';
import { positionFromToken, tokenFromPosition } from '../paging/page-token.ts';
import { readPages } from '../paging/read-pages.ts';
import { listedSandboxSchema } from './schemas.ts';
import { listedToWire } from './to-wire.ts';

/** Rows of the old list, which has no pages. */
const unpagedMax = 10_000;

const stateSchema = z.enum(['running', 'paused']);
const states = z
  .union([z.string().transform((text) => text.split(',')), z.array(z.string())])
  .pipe(z.array(stateSchema).max(10));

const listQuery = z.object({
  metadata: z.string().optional().describe('`key=value&…` with percent-encoded keys and values. All pairs must match.'),
  state: states.optional().describe('Comma-separated list of `running` and `paused`. Default: both.'),
  order: z.enum(['asc', 'desc']).default('desc').describe('By start time.'),
  startedAfter: z.iso.datetime({ offset: true }).optional().describe('Inclusive.'),
  template: z.string().max(256).optional().describe('Template id or name, without a tag.'),
  ...pageQuery,
});

export function addListRoutes(app: ApiApp, context: ApiContext): void {
  app.get(
    '/sandboxes',
    {
      schema: {
        tags: ['sandboxes'],
        summary: 'List running sandboxes (older clients)',
        querystring: z.object({ metadata: listQuery.shape.metadata }),
        response: { 200: z.array(listedSandboxSchema), ...errors(400) },
      },
    },
    async (request, reply) => {
      const filter = await filterOf(context, callerOf(request), request.query);
      const pages = Readable.from(unpagedJson(context, { ...filter, states: ['running'], order: 'desc' }));
      // Fastify sends a stream unchanged; the schema only documents its content.
      return reply.type('application/json; charset=utf-8').send(pages as never);
    },
  );

  app.get(
    '/v2/sandboxes',
    {
      schema: {
        tags: ['sandboxes'],
        summary: 'List sandboxes by page',
        description:
          'Response headers: `X-Next-Token` if there is another page; `X-Total-Running`, the number of matching running ' +
          'sandboxes on all pages.',
        querystring: listQuery,
        response: { 200: z.array(listedSandboxSchema), ...errors(400, 503) },
      },
    },
    async (request, reply) => {
      const { query } = request;
      const after = query.nextToken === undefined ? undefined : positionFromToken(query.nextToken, query.order);
      const filter = await filterOf(context, callerOf(request), query);
      const total = await context.records.sandboxes.count({ ...filter, states: ['running'] });
      void reply.header(headers.totalRunning, String(total));
      const { order, limit, state = ['running', 'paused'] } = query;
      const page = await context.records.sandboxes.list({
        ...filter,
        states: state,
        order,
        limit,
        after,
        maxChars: pageCharsMax,
      });
      if (page.next !== undefined) void reply.header(headers.nextToken, tokenFromPosition(page.next, order));
      return page.sandboxes.map(listedToWire);
    },
  );
}

/** The old list as one text, written page by page: it may be too large to be held in memory for a slow reader. */
async function* unpagedJson(
  context: ApiContext,
  query: Omit<SandboxListQuery, 'after' | 'limit' | 'maxChars'>,
): AsyncGenerator<string> {
  let before = '[';
  for await (const sandboxes of readPages(context, query, unpagedMax)) {
    for (const sandbox of sandboxes) {
      yield before + JSON.stringify(listedToWire(sandbox));
      before = ',';
    }
  }
  yield before === '[' ? '[]' : ']';
}

interface Filter {
  readonly metadata?: string | undefined;
  readonly startedAfter?: string | undefined;
  readonly template?: string | undefined;
}

async function filterOf(context: ApiContext, caller: Caller, query: Filter) {
  return {
    teamId: caller.team.id,
    aliveAfter: aliveAfter(context),
    metadata: parseMetadataFilter(query.metadata),
    startedAfter: query.startedAfter === undefined ? undefined : Date.parse(query.startedAfter),
    template: query.template === undefined ? undefined : await templateOf(context, caller, query.template),
    templateIds: await permittedTemplateIds(context, caller),
    withoutMetadata: hiddenMetadata(caller),
  };
}

/** The id of the template, or the text itself, so that old sandboxes of a deleted template are still found. */
async function templateOf(context: ApiContext, caller: Caller, text: string): Promise<string> {
  const reference = parseTemplateReference(text);
  if (text.includes(':') || reference?.tag !== undefined)
    throw new SoulBoxError(
      'bad_request',
      `template: ${quoteForError(text)} must not have a tag. Leave out the part after the colon.`,
    );
  if (reference === undefined) return text;
  return (await findTemplateId(context, caller.team, text)) ?? reference.name;
}
