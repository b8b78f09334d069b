import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { functionSchema, functionToWire, secretParams, startErrors } from './schemas.ts';
import { getFunctions } from './service.ts';

export function addRemoveSecretRoute(app: ApiApp, context: ApiContext): void {
  app.delete(
    '/functions/:name/secrets/:secret',
    {
      schema: {
        tags: ['functions'],
        summary: 'Remove a secret; the active version restarts without it',
        params: secretParams,
        response: { 200: functionSchema, ...errors(...startErrors) },
      },
    },
    async (request) => {
      const { name, secret } = request.params;
      return functionToWire(await getFunctions(context).removeSecret(callerOf(request).team.id, name, secret));
    },
  );
}
