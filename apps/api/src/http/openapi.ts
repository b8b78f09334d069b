import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';

/** Read now, because a server may not read the files of its program any more after its start. */
const generated = readFileSync(join(import.meta.dirname, 'gen/openapi.json'), 'utf8');

/**
 * Serves the document. It was made by `npm run api-types`: making it from the schemas takes 300 ms, during which no other
 * request is answered.
 */
export function addOpenApiRoute(app: FastifyInstance): void {
  const text = Buffer.from(JSON.stringify(JSON.parse(generated)));
  app.get('/openapi.json', { config: { auth: 'none' }, schema: { hide: true } }, (_request, reply) =>
    reply.type('application/json; charset=utf-8').send(text),
  );
}
