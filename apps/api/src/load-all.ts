import { fastify } from 'fastify';
import { addOpenApiRoute, collectOpenApi } from './http/openapi.ts';
import { schemaCompilers } from './http/schema-compilers.ts';

/**
 * Has everything loaded that a server would load when it starts, or later: for a process that may not read the files of its own program
 * any more once it has given its rights up.
 */
export async function loadAll(): Promise<void> {
  const app = fastify({ logger: false, schemaController: { compilersFactory: schemaCompilers } });
  await collectOpenApi(app);
  addOpenApiRoute(app);
  await app.ready();
  await app.close();
}
