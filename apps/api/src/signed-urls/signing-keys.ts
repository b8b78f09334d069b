import { randomId, SoulBoxError } from '@soulbox/base';
import type { SigningKeyRecord } from '@soulbox/storage';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { auditNote } from '../http/audit-requests.ts';
import { quoteForError } from '../http/quote-for-error.ts';
import { errors, noContent, timeSchema, timeToWire } from '../http/schemas.ts';
import { signingKeysMax } from '../signing/team-keys.ts';

const keySchema = z
  .object({
    id: z.string(),
    createdAt: timeSchema,
    endsAt: timeSchema.nullable().describe('Null: this key signs.'),
  })
  .meta({ id: 'SigningKey' });

const rotationSchema = z
  .object({
    overlapSeconds: z
      .int()
      .min(0)
      .max(365 * 24 * 3600)
      .describe('How long URLs of the earlier keys stay valid. 0: they end now.'),
  })
  .meta({ id: 'SigningKeyRotation' });

/** The keys that sign URLs of the team. The first is created by the first signature. */
export function addSigningKeyRoutes(app: ApiApp, context: ApiContext): void {
  const { records, clock, logger } = context;
  app.get(
    '/signing-keys',
    {
      schema: {
        tags: ['signed URLs'],
        summary: 'Signing keys of the team, newest first',
        response: { 200: z.array(keySchema), ...errors() },
      },
    },
    async (request) => (await records.signingKeys.list(callerOf(request).team.id)).map(keyToWire),
  );

  app.post(
    '/signing-keys',
    {
      schema: {
        tags: ['signed URLs'],
        summary: 'Rotate the signing key: a new one signs, and the others end after the overlap',
        body: rotationSchema,
        response: { 201: keySchema, ...errors(400, 413, 415) },
      },
    },
    async (request, reply) => {
      const { team } = callerOf(request);
      const { overlapSeconds } = request.body;
      const now = clock.now();
      const key = { id: `s${randomId(12)}`, teamId: team.id, createdAt: now };
      const note = auditNote(request, key.id);
      if (!(await records.signingKeys.rotate(key, now + overlapSeconds * 1000, signingKeysMax, note)))
        throw new SoulBoxError(
          'limit_exceeded',
          `The team has ${signingKeysMax} signing keys that have not ended. End one first.`,
        );
      logger.info({ team: team.id, signingKeyId: key.id, overlapSeconds }, 'signing key rotated');
      return reply.code(201).send(keyToWire({ ...key, endsAt: undefined }));
    },
  );

  app.delete(
    '/signing-keys/:signingKeyID',
    {
      schema: {
        tags: ['signed URLs'],
        summary: 'End a signing key now, and all URLs that it signed',
        params: z.object({ signingKeyID: z.string() }),
        response: { 204: noContent, ...errors(404) },
      },
    },
    async (request, reply) => {
      const { team } = callerOf(request);
      const { signingKeyID } = request.params;
      if (!(await records.signingKeys.end(team.id, signingKeyID, clock.now(), auditNote(request))))
        throw new SoulBoxError('key_not_found', `Signing key ${quoteForError(signingKeyID)} was not found.`);
      logger.info({ team: team.id, signingKeyId: signingKeyID }, 'signing key ended');
      return reply.code(204).send(null);
    },
  );
}

function keyToWire({ id, createdAt, endsAt }: SigningKeyRecord): z.infer<typeof keySchema> {
  return { id, createdAt: timeToWire(createdAt), endsAt: endsAt === undefined ? null : timeToWire(endsAt) };
}
