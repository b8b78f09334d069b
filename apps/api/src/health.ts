import type { ApiApp } from './http/app.ts';
import { noContent } from './http/schemas.ts';

export function addHealthRoute(app: ApiApp): void {
  app.get(
    '/health',
    {
      config: { auth: 'none' },
      schema: { tags: ['health'], summary: 'Health of the API', security: [], response: { 204: noContent } },
    },
    async (_request, reply) => reply.code(204).send(null),
  );
}
