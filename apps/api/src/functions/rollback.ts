import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { functionParams, functionSchema, functionToWire, rollbackSchema, startErrors } from './schemas.ts';
import { getFunctions } from './service.ts';

export function addRollbackFunctionRoute(app: ApiApp, context: ApiContext): void {
  app.post(
    '/functions/:name/rollback',
    {
      schema: {
        tags: ['functions'],
        summary: 'Roll back to an earlier version; environment, secrets and limits are unchanged',
        params: functionParams,
        body: rollbackSchema.nullish(),
        response: { 200: functionSchema, ...errors(...startErrors) },
      },
    },
    async (request) => {
      const { team } = callerOf(request);
      const info = await getFunctions(context).rollback(team.id, request.params.name, request.body?.version);
      context.logger.info({ function: info.name, team: team.id, version: info.activeVersion }, 'function rolled back');
      return functionToWire(info);
    },
  );
}
