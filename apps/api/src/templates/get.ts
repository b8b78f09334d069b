import { headers } from '@soulbox/contract';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import { buildIdFromRunner, runnerIdOf } from '../names/build-id.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, pageQuery } from '../http/schemas.ts';
import { positionFromToken, tokenFromPosition } from '../paging/page-token.ts';
import { getPermittedTemplate } from '../lookup/permitted-templates.ts';
import { getOwnTemplate, templateParams } from '../lookup/template.ts';
import { templateWithBuildsSchema } from './schemas.ts';
import { storeWithBuildsToWire, withBuildsToWire } from './to-wire.ts';

export function addGetTemplateRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/templates/:templateID',
    {
      schema: {
        tags: ['templates'],
        summary: 'Show a template of the team or of the server, with its builds by page, newest first',
        description: 'Response header: `X-Next-Token` if there is another page.',
        params: templateParams,
        querystring: z.object(pageQuery),
        response: { 200: templateWithBuildsSchema, ...errors(400, 404, 503) },
      },
    },
    async (request, reply) => {
      const caller = callerOf(request);
      const { team } = caller;
      const found = await getPermittedTemplate(context, caller, request.params.templateID);
      if (found.kind === 'store') return storeWithBuildsToWire(found.template);
      const template = await getOwnTemplate(context, team, request.params.templateID);
      const { limit, nextToken } = request.query;
      const after = nextToken === undefined ? undefined : positionFromToken(nextToken, 'desc');
      const position = after && { createdAt: after.startedAt, id: buildIdFromRunner(after.id) };
      const { builds, next } = await context.records.builds.list(template.id, position, limit);
      if (next !== undefined) {
        const token = tokenFromPosition({ startedAt: next.createdAt, id: runnerIdOf(next.id) }, 'desc');
        void reply.header(headers.nextToken, token);
      }
      return withBuildsToWire(team, template, builds, await context.records.templates.listTags(template.id));
    },
  );
}
