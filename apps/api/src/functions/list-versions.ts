import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { functionParams, versionSchema, versionToWire } from './schemas.ts';
import { getFunctions } from './service.ts';

export function addListVersionsRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/functions/:name/versions',
    {
      schema: {
        tags: ['functions'],
        summary: 'List the versions that can be served, newest first',
        params: functionParams,
        response: { 200: z.array(versionSchema), ...errors(404, 501) },
      },
    },
    async (request) =>
      (await getFunctions(context).listVersions(callerOf(request).team.id, request.params.name)).map(versionToWire),
  );
}
