import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, noContent, timeSchema, timeToWire } from '../http/schemas.ts';
import { getFunctions } from './service.ts';

const namespaceSchema = z
  .object({ name: z.string(), keyCount: z.int(), sizeBytes: z.int(), createdAt: timeSchema })
  .meta({ id: 'KvNamespace' });

/** Key-value namespaces are made by the first function that uses them. */
export function addKvRoutes(app: ApiApp, context: ApiContext): void {
  app.get(
    '/kv',
    {
      schema: {
        tags: ['functions'],
        summary: 'List the key-value namespaces of the team',
        response: { 200: z.array(namespaceSchema), ...errors(501) },
      },
    },
    async (request) =>
      (await getFunctions(context).listNamespaces(callerOf(request).team.id)).map(
        ({ name, keyCount, sizeBytes, createdAt }) => ({ name, keyCount, sizeBytes, createdAt: timeToWire(createdAt) }),
      ),
  );

  app.delete(
    '/kv/:name',
    {
      schema: {
        tags: ['functions'],
        summary: 'Delete a key-value namespace with all it holds; functions that use it find it empty',
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
