import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, timeSchema, timeToWire } from '../http/schemas.ts';
import { getFunctions } from '../functions/service.ts';

const namespaceSchema = z
  .object({ name: z.string(), keyCount: z.int(), sizeBytes: z.int(), createdAt: timeSchema })
  .meta({ id: 'KvNamespace' });

/** Lists key-value namespaces. The first function that uses a namespace creates it. */
export function addListNamespacesRoute(app: ApiApp, context: ApiContext): void {
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
}
