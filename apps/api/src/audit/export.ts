import { Readable } from 'node:stream';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';

/** Records that are read at once: those of one bundle of the log, about 200 KB. */
const chunk = 256;

const index = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const query = z.object({
  from: index.default(0).describe('The index of the first record.'),
  to: index.optional().describe('The index after the last record. Default: all that are published now.'),
});

/** The records of the team's log in one response, which a signed URL can give to somebody without a key. */
export function addExportAuditRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/audit/export',
    {
      config: { auth: 'key-or-signature' },
      schema: {
        tags: ['audit'],
        summary: "The published records of the team's audit log, one in a line. SoulBox extension.",
        description:
          'Each line is an entry of the log as its hash covers it. Pruned records are left out. For proofs, read the files of the log.',
        querystring: query,
        response: { 200: z.any().describe('Records as `application/x-ndjson`.'), ...errors(400, 503) },
      },
    },
    async (request, reply) => {
      const { log } = await context.teamLogs.open(callerOf(request).team.id);
      const { from, to = log.checkpoint.size } = request.query;
      const end = Math.min(to, log.checkpoint.size);
      return reply.type('application/x-ndjson; charset=utf-8').send(Readable.from(linesOf(log, from, end)));
    },
  );
}

type Log = Awaited<ReturnType<ApiContext['teamLogs']['open']>>['log'];

/** Reads the next records when the client has taken the last ones. */
async function* linesOf(log: Log, from: number, end: number): AsyncGenerator<string> {
  for (let at = from; at < end;) {
    const next = Math.min(end, at - (at % chunk) + chunk);
    const leaves = await log.readEntries(at, next);
    if (leaves.length > 0) yield leaves.map((leaf) => `${leaf.toString('utf8')}\n`).join('');
    at = next;
  }
}
