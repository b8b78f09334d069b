import { recordOfLeaf } from '@soulbox/audit';
import { headers } from '@soulbox/contract';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { auditRecordSchema } from './schemas.ts';

const query = z.object({
  from: z.coerce.number().int().min(0).default(0).describe('The index of the first record.'),
  limit: z.coerce.number().int().min(1).max(100).default(100),
});

/** Records of the team's log, also those that are committed and not published yet. */
export function addListAuditRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/audit/records',
    {
      schema: {
        tags: ['audit'],
        summary: "Records of the team's audit log, oldest first. SoulBox extension.",
        description:
          'The response header `X-Next-After` tells the `from` of the next page. The last page does not have it.',
        querystring: query,
        response: { 200: z.array(auditRecordSchema), ...errors(400, 503) },
      },
    },
    async (request, reply) => {
      const { from, limit } = request.query;
      const { team } = callerOf(request);
      const { log } = await context.teamLogs.open(team.id);
      const published = await log.readEntries(from, from + limit + 1);
      const size = Math.max(from, log.checkpoint.size);
      const missing = limit + 1 - published.length;
      const waiting = missing > 0 ? await context.records.audit.listWaiting(team.id, size, missing) : [];
      const leaves = [...published.map((leaf) => leaf.toString('utf8')), ...waiting.map(({ text }) => text)];
      const records = leaves.map((leaf) => ({ ...recordOfLeaf(leaf) }));
      const next = records[limit];
      if (next !== undefined) void reply.header(headers.nextAfter, String(next.seq));
      return records.slice(0, limit);
    },
  );
}
