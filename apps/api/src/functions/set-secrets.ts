import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import {
  functionParams,
  functionSchema,
  functionToWire,
  newSecretsSchema,
  secretsFromBody,
  startErrors,
} from './schemas.ts';
import { getFunctions } from './service.ts';

export function addSetSecretsRoute(app: ApiApp, context: ApiContext): void {
  app.put(
    '/functions/:name/secrets',
    {
      schema: {
        tags: ['functions'],
        summary: 'Add or change secrets; the active version restarts with them',
        params: functionParams,
        body: newSecretsSchema,
        response: { 200: functionSchema, ...errors(...startErrors) },
      },
    },
    async (request) => {
      const { team } = callerOf(request);
      const secrets = secretsFromBody(request.body.secrets);
      const info = await getFunctions(context).setSecrets(team.id, request.params.name, secrets);
      context.logger.info({ function: info.name, team: team.id }, 'secrets of a function set');
      return functionToWire(info);
    },
  );
}
