import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, noContent } from '../http/schemas.ts';
import { functionParams } from './schemas.ts';
import { getFunctions } from './service.ts';

export function addRemoveFunctionRoute(app: ApiApp, context: ApiContext): void {
  app.delete(
    '/functions/:name',
    {
      schema: {
        tags: ['functions'],
        summary: 'Delete a function with its versions and its sandbox; key-value namespaces stay',
        params: functionParams,
        response: { 204: noContent, ...errors(404, 501, 503) },
      },
    },
    async (request, reply) => {
      const { team } = callerOf(request);
      await getFunctions(context).remove(team.id, request.params.name);
      context.logger.info({ function: request.params.name, team: team.id }, 'function deleted');
      return reply.code(204).send(null);
    },
  );
}
