import { egressReasons, headers, parseSandboxId } from '@soulbox/contract';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, sandboxParams, timeToWire } from '../http/schemas.ts';

const connectionSchema = z
  .object({
    sequence: z.int(),
    sandboxID: z.string(),
    startedAt: z.iso.datetime(),
    durationMs: z.int(),
    protocol: z
      .string()
      .describe('`tcp`, `tls`, `http` or `dns`; also `udp`, `icmp` and `other`, which are judged by address.'),
    name: z.string().optional().describe('Host name that decided: of TLS (SNI), of HTTP (Host), or of the look-up.'),
    address: z.string().optional().describe('Connected address, or the wanted one of a refused connection.'),
    port: z.int().describe('0 for protocols without ports.'),
    rule: z.string().optional().describe('Entry of the policy that decided. Absent: the default.'),
    allowed: z.boolean(),
    reason: z
      .string()
      .optional()
      .describe(`Why it was refused, ended early, or is not one connection: ${Object.keys(egressReasons).join(', ')}.`),
    bytesSent: z.int(),
    bytesReceived: z.int(),
    method: z.string().optional().describe('Of an intercepted request.'),
    path: z.string().optional(),
    count: z.int().optional().describe('Connections that the entry stands for, if not one: see `not_logged`.'),
  })
  .meta({ id: 'SandboxConnection' });

const listQuery = z.object({
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  before: z.coerce.number().int().min(1).optional().describe('Only those before this `sequence`.'),
  allowed: z
    .enum(['true', 'false'])
    .transform((text) => text === 'true')
    .optional()
    .describe('Default: allowed and refused ones.'),
});

/** Leaves out empty texts. */
const filled = <Fields extends Record<string, string>>(fields: Fields): Partial<Fields> =>
  Object.fromEntries(Object.entries(fields).filter(([, text]) => text !== '')) as Partial<Fields>;

export function addListConnectionsRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/sandboxes/:sandboxID/connections',
    {
      schema: {
        tags: ['sandboxes'],
        summary:
          'Connections of a sandbox to the outside, and refused look-ups, newest first; empty for an unknown sandbox',
        description:
          'Recorded when they have ended. Also those of a sandbox that has ended. The response header `X-Next-Before` tells where the ' +
          'next page begins; the last page does not have it. SoulBox extension.',
        params: sandboxParams,
        querystring: listQuery,
        response: { 200: z.array(connectionSchema), ...errors(400) },
      },
    },
    async (request, reply) => {
      const sandboxId = parseSandboxId(request.params.sandboxID);
      if (sandboxId === undefined) return [];
      const { limit, before, allowed } = request.query;
      const teamId = callerOf(request).team.id;
      const query = { teamId, sandboxId, isAllowed: allowed, before, limit: limit + 1 };
      const found = await context.records.connections.list(query);
      const page = found.slice(0, limit);
      if (found.length > limit) void reply.header(headers.nextBefore, String(page.at(-1)?.sequence));
      return page.map(
        ({ sequence, startedAt, durationMs, protocol, port, isAllowed, bytesSent, bytesReceived, ...one }) => ({
          ...{ sequence, sandboxID: sandboxId, startedAt: timeToWire(startedAt), durationMs, protocol, port },
          ...filled({ name: one.name, address: one.address, rule: one.rule, reason: one.reason }),
          ...{ allowed: isAllowed, bytesSent, bytesReceived },
          ...filled({ method: one.method, path: one.path }),
          ...(one.count === 1 ? {} : { count: one.count }),
        }),
      );
    },
  );
}
