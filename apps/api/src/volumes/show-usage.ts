import { readJson } from '@soulbox/rpc/http-call';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { getVolume, volumeParams } from '../lookup/volume.ts';
import { usageAnswerSchema } from '../volume-service/volume-service.ts';
import { getVolumeService, volumeUsageSchema } from './schemas.ts';

/** How long the volume service may take to open a volume. Milliseconds. */
const answerMs = 60_000;

export function addVolumeUsageRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/volumes/:volumeID/usage',
    {
      schema: {
        tags: ['volumes'],
        summary: 'Get what a volume contains. SoulBox extension',
        description: 'Counted by the volume service, which is started for it. A list of volumes does not have it.',
        params: volumeParams,
        response: { 200: volumeUsageSchema, ...errors(404, 501, 503) },
      },
    },
    async (request) => {
      const service = getVolumeService(context);
      const { team } = callerOf(request);
      const { id, groupId, sizeMb } = await getVolume(context, team, request.params.volumeID);
      const signal = AbortSignal.any([context.stopping, AbortSignal.timeout(answerMs)]);
      const place = { teamId: team.id, groupId, volumeId: id };
      const answer = await service.call({ method: 'GET', what: 'usage', ...place, signal });
      const { bytes, inodes } = usageAnswerSchema.parse(await readJson(answer.body));
      return { bytes, entries: inodes, sizeMb: sizeMb ?? null };
    },
  );
}
