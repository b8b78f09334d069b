import { randomId } from '@soulbox/base';
import type { VolumeRecord } from '@soulbox/storage';
import type { FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { auditNote } from '../http/audit-requests.ts';
import { errors } from '../http/schemas.ts';
import { runOnce } from '../idempotency/run-once.ts';
import { getVolumeToUse, volumeNotFound } from '../lookup/volume.ts';
import { copyContents } from './copy-contents.ts';
import { refuseUnlessCreated } from './refuse-unless-created.ts';
import { getVolumeService, newVolumeSchema, volumeAndTokenSchema, withToken } from './schemas.ts';

export function addCreateVolumeRoute(app: ApiApp, context: ApiContext): void {
  app.post(
    '/volumes',
    {
      schema: {
        tags: ['volumes'],
        summary: 'Create a volume, empty or as a copy of another one',
        body: newVolumeSchema,
        response: { 201: volumeAndTokenSchema, ...errors(400, 404, 409, 413, 415, 422, 501) },
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
  context: ApiContext,
  request: FastifyRequest,
  { name, sizeMb, from, readOnly }: z.infer<typeof newVolumeSchema>,
  creationId: string,
): Promise<VolumeRecord> {
  const { records, clock, logger, quotas } = context;
  const { team } = callerOf(request);
  const source = from === undefined ? undefined : await getVolumeToUse(context, team, from);
  const id = `v${randomId(20)}`;
  const copied = {
    groupId: source?.groupId ?? id,
    sourceId: source?.id,
    isReadOnly: readOnly,
    isUsed: source !== undefined,
  };
  const volume = { id, teamId: team.id, name, sizeMb, ...copied, createdAt: clock.now(), creationId };
  const { volumes: limit } = await quotas.limitsOf(team.id);
  const note = auditNote(request, id);
  if (source === undefined) {
    // It needs nothing but its record. The volume service makes the rest when it is used first.
    refuseUnlessCreated(await records.volumes.create(volume, limit, note), name, limit);
  } else {
    using _slot = context.transfers.take('volume clone', team.id);
    refuseUnlessCreated(await records.volumes.beginCopy(volume, limit), name, limit);
    await copyContents(context, source, volume, note);
  }
  logger.info({ team: team.id, volumeId: id, from: source?.id }, 'volume created');
  return volume;
}
