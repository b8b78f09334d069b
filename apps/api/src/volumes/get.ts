import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { getVolume, volumeParams } from '../lookup/volume.ts';
import { volumeAndTokenSchema, withToken } from './schemas.ts';

export function addGetVolumeRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/volumes/:volumeID',
    {
      schema: {
        tags: ['volumes'],
        summary: 'Get a volume with a token for its contents',
        params: volumeParams,
        response: { 200: volumeAndTokenSchema, ...errors(404) },
      },
    },
    async (request) =>
      await withToken(context, request, await getVolume(context, callerOf(request).team, request.params.volumeID)),
  );
}
