import { headers } from '@soulbox/contract';
import type { SecretPosition } from '@soulbox/storage';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, pageQuery } from '../http/schemas.ts';
import { positionFromToken, tokenFromPosition } from '../paging/page-token.ts';
import { secretSchema, secretToWire } from './schemas.ts';

export function addListSecretsRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/secrets',
    {
      schema: {
        tags: ['secrets'],
        summary: "List the team's secrets by page, newest first, without their values",
        description: 'Response header: `X-Next-Token` if there is another page.',
        querystring: z.object(pageQuery),
        response: { 200: z.array(secretSchema), ...errors(400) },
      },
    },
    async (request, reply) => {
      const { limit, nextToken } = request.query;
      const after = nextToken === undefined ? undefined : positionOf(nextToken);
      const page = await context.records.secrets.list({ teamId: callerOf(request).team.id, after, limit });
      if (page.next !== undefined) void reply.header(headers.nextToken, tokenOf(page.next));
      return page.secrets.map(secretToWire);
    },
  );
}

/** In the same form as for sandboxes: a time and an id. */
const tokenOf = ({ createdAt, id }: SecretPosition): string => tokenFromPosition({ startedAt: createdAt, id }, 'desc');

function positionOf(token: string): SecretPosition {
  const { startedAt, id } = positionFromToken(token, 'desc');
  return { createdAt: startedAt, id };
}
