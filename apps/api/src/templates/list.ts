import { headers } from '@soulbox/contract';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { Caller } from '../auth/caller.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, pageQuery } from '../http/schemas.ts';
import { permittedTemplateIds } from '../lookup/permitted-templates.ts';
import { positionFromToken, tokenFromPosition } from '../paging/page-token.ts';
import { templateSchema } from './schemas.ts';
import { builtToWire, storeToWire } from './to-wire.ts';

const teamID = z.string().optional().describe('Ignored; the API key determines the team.');

export function addListTemplateRoutes(app: ApiApp, context: ApiContext): void {
  app.get(
    '/templates',
    {
      schema: {
        tags: ['templates'],
        summary: "List the team's templates and the server's",
        querystring: z.object({ teamID }),
        response: { 200: z.array(templateSchema), ...errors(400, 503) },
      },
    },
    async (request) => await listTemplates(context, callerOf(request)),
  );

  app.get(
    '/v2/templates',
    {
      schema: {
        tags: ['templates'],
        summary: "List the team's templates and the server's by page, newest first",
        description: 'Response header: `X-Next-Token` if there is another page.',
        querystring: z.object({ teamID, ...pageQuery }),
        response: { 200: z.array(templateSchema), ...errors(400, 503) },
      },
    },
    async (request, reply) => {
      const { limit, nextToken } = request.query;
      const after = nextToken === undefined ? undefined : positionFromToken(nextToken, 'desc');
      const all = (await listTemplates(context, callerOf(request))).sort(newestFirst);
      const rest = after === undefined ? all : all.filter((template) => isBehind(template, after));
      const page = rest.slice(0, limit);
      const last = page.at(-1);
      if (rest.length > limit && last !== undefined)
        void reply.header(headers.nextToken, tokenFromPosition(positionOf(last), 'desc'));
      return page;
    },
  );
}

type TemplateWire = z.infer<typeof templateSchema>;

async function listTemplates(context: ApiContext, caller: Caller): Promise<TemplateWire[]> {
  const { team } = caller;
  const permitted = await permittedTemplateIds(context, caller);
  const own = await context.records.templates.list(team.id);
  const built = await Promise.all(own.map((template) => builtToWire(context, team, template)));
  const all = [...built, ...(await context.templates.list()).map(storeToWire)];
  return permitted === undefined ? all : all.filter(({ templateID }) => permitted.has(templateID));
}

const positionOf = (template: TemplateWire) => ({
  startedAt: Date.parse(template.createdAt),
  id: template.templateID,
});

function newestFirst(a: TemplateWire, b: TemplateWire): number {
  return isBehind(a, positionOf(b)) ? 1 : -1;
}

function isBehind(template: TemplateWire, { startedAt, id }: { startedAt: number; id: string }): boolean {
  const own = positionOf(template);
  return own.startedAt < startedAt || (own.startedAt === startedAt && own.id < id);
}
