import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { getSecret } from './find.ts';
import { secretParams, secretSchema, secretToWire } from './schemas.ts';

export function addGetSecretRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/secrets/:secretID',
    {
      schema: {
        tags: ['secrets'],
        summary: 'Get a secret, without its value',
        params: secretParams,
        response: { 200: secretSchema, ...errors(404) },
      },
    },
    async (request) => secretToWire(await getSecret(context, callerOf(request).team.id, request.params.secretID)),
  );
}
