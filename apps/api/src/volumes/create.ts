import { randomId, SoulBoxError } from '@soulbox/base';
import type { VolumeRecord } from '@soulbox/storage';
import type { FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { auditNote } from '../http/audit-requests.ts';
import { errors } from '../http/schemas.ts';
import { runOnce } from '../idempotency/run-once.ts';
import { volumeNotFound } from '../lookup/volume.ts';
import { raiseTeam } from '../quotas/budgets.ts';
import { storedHintSeconds } from '../quotas/quotas.ts';
import { getVolumeService, newVolumeSchema, volumeAndTokenSchema, withToken } from './schemas.ts';

/** A volume needs nothing but its record. The volume service makes the rest when it is used first. */
export function addCreateVolumeRoute(app: ApiApp, context: ApiContext): void {
  app.post(
    '/volumes',
    {
      schema: {
        tags: ['volumes'],
        summary: 'Create a volume',
        body: newVolumeSchema,
        response: { 201: volumeAndTokenSchema, ...errors(400, 409, 413, 415, 422, 501) },
      },
    },
    async (request, reply) => {
      getVolumeService(context);
      const { team } = callerOf(request);
      const { name } = request.body;
      const volume = await runOnce(context, request, reply, {
        make: async (creationId) => await createVolume(context, request, request.body, creationId),
        find: async (creationId) => await context.records.volumes.findByCreation(team.id, creationId),
        gone: () => volumeNotFound(name),
      });
      return await reply.code(201).send(await withToken(context, request, volume));
    },
  );
}

async function createVolume(
  { records, quotas, clock, logger }: ApiContext,
  request: FastifyRequest,
  { name, sizeMb }: z.infer<typeof newVolumeSchema>,
  creationId: string,
): Promise<VolumeRecord> {
  const { team } = callerOf(request);
  const limits = await quotas.limitsOf(team.id);
  const volume = { id: `v${randomId(20)}`, teamId: team.id, name, sizeMb, createdAt: clock.now(), creationId };
  const created = await records.volumes.create(volume, limits.volumes, auditNote(request, volume.id));
  if (created === 'name_taken')
    throw new SoulBoxError('volume_exists', `The team already has a volume "${name}". Choose another name.`);
  if (created === 'limit_reached')
    throw new SoulBoxError(
      'limit_exceeded',
      `The team has reached the maximum number of volumes (${limits.volumes}). Delete one. ${raiseTeam('volumes')}`,
      { retryAfterSeconds: storedHintSeconds },
    );
  logger.info({ team: team.id, volumeId: volume.id }, 'volume created');
  return volume;
}
