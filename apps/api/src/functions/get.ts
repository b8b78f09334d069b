import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { functionParams, functionSchema, functionToWire } from './schemas.ts';
import { getFunctions } from './service.ts';

export function addGetFunctionRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/functions/:name',
    {
      schema: {
        tags: ['functions'],
        summary: 'Show a function; the values of secrets are never shown',
        params: functionParams,
        response: { 200: functionSchema, ...errors(404, 501) },
      },
    },
    async (request) => functionToWire(await getFunctions(context).get(callerOf(request).team.id, request.params.name)),
  );
}
