import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, noContent } from '../http/schemas.ts';
import { getFunctions } from '../functions/service.ts';

export function addRemoveNamespaceRoute(app: ApiApp, context: ApiContext): void {
  app.delete(
    '/kv/:name',
    {
      schema: {
        tags: ['functions'],
        summary: 'Delete a key-value namespace with its content; functions that use it then see it empty',
        params: z.object({ name: z.string() }),
        response: { 204: noContent, ...errors(404, 501) },
      },
    },
    async (request, reply) => {
      const { team } = callerOf(request);
      await getFunctions(context).removeNamespace(team.id, request.params.name);
      context.logger.info({ team: team.id, namespace: request.params.name }, 'key-value namespace deleted');
      return reply.code(204).send(null);
    },
  );
}
