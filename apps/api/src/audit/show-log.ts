import { openCheckpoint, parseTilePath } from '@soulbox/audit';
import { SoulBoxError } from '@soulbox/base';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, timeToWire } from '../http/schemas.ts';
import { auditLogSchema } from './schemas.ts';

/** The log of the team as C2SP's tlog-tiles lays it out, so that other programs can read and verify it. */
export function addShowLogRoutes(app: ApiApp, context: ApiContext): void {
  app.get(
    '/audit',
    {
      schema: {
        tags: ['audit'],
        summary: "The team's audit log: its name, key and size, and what its witnesses have signed. SoulBox extension.",
        response: { 200: auditLogSchema, ...errors(503) },
      },
    },
    async (request) => {
      const teamId = callerOf(request).team.id;
      const { log } = await context.teamLogs.open(teamId);
      const { origin, verifierKey, checkpoint } = log;
      const witnessed = await log.readWitnessed();
      const witnesses = context.witnessing.stateOf(teamId).map(({ name, size, signedAt, problem }) => ({
        ...{ name, size, problem: problem ?? null },
        signedAt: signedAt === undefined ? null : timeToWire(signedAt),
      }));
      return {
        ...{ origin, verifierKey, size: checkpoint.size, minimum: await log.readMinimum(), witnesses },
        witnessedSize: witnessed === undefined ? 0 : openCheckpoint(witnessed, verifierKey).size,
      };
    },
  );

  app.get(
    '/audit/log/*',
    {
      schema: {
        tags: ['audit'],
        summary:
          'Files of the log: `checkpoint`, `tile/<level>/<index>`, `tile/entries/<index>` (C2SP tlog-tiles), and `witnessed-checkpoint`, the newest one that witnesses have signed. SoulBox extension.',
        params: z.object({ '*': z.string().max(100) }),
        response: { 200: z.any().describe('The bytes of the file.'), ...errors(404, 503) },
      },
    },
    async (request, reply) => {
      const path = request.params['*'];
      const { log } = await context.teamLogs.open(callerOf(request).team.id);
      if (path === 'checkpoint')
        return reply.type('text/plain; charset=utf-8').serializer(asIs).send(log.checkpoint.note);
      const witnessed = path === 'witnessed-checkpoint' ? await log.readWitnessed() : undefined;
      if (witnessed !== undefined) return reply.type('text/plain; charset=utf-8').serializer(asIs).send(witnessed);
      const name = parseTilePath(path);
      const bytes = name && (await log.findTile(name));
      if (bytes === undefined) throw new SoulBoxError('file_not_found', 'The audit log does not have this file.');
      return reply.type('application/octet-stream').serializer(asIs).send(bytes);
    },
  );
}

const asIs = (payload: unknown): string => payload as string;
