import { headers } from '@soulbox/contract';
import type { BucketPosition } from '@soulbox/storage';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, pageQuery } from '../http/schemas.ts';
import { positionFromToken, tokenFromPosition } from '../paging/page-token.ts';
import { bucketSchema, bucketToWire } from './schemas.ts';

export function addListBucketsRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/buckets',
    {
      schema: {
        tags: ['buckets'],
        summary: "List the team's buckets by page, newest first, without their credentials",
        description: 'Response header: `X-Next-Token` if there is another page.',
        querystring: z.object(pageQuery),
        response: { 200: z.array(bucketSchema), ...errors(400) },
      },
    },
    async (request, reply) => {
      const { limit, nextToken } = request.query;
      const after = nextToken === undefined ? undefined : positionOf(nextToken);
      const page = await context.records.buckets.list({ teamId: callerOf(request).team.id, after, limit });
      if (page.next !== undefined) void reply.header(headers.nextToken, tokenOf(page.next));
      return page.buckets.map(bucketToWire);
    },
  );
}

/** In the same form as for sandboxes: a time and an id. */
const tokenOf = ({ createdAt, id }: BucketPosition): string => tokenFromPosition({ startedAt: createdAt, id }, 'desc');

function positionOf(token: string): BucketPosition {
  const { startedAt, id } = positionFromToken(token, 'desc');
  return { createdAt: startedAt, id };
}
