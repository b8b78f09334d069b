import { fastify } from 'fastify';
import { addOpenApiRoute } from './http/openapi.ts';
import { schemaCompilers } from './http/schema-compilers.ts';

/**
 * Loads everything that a server would load at its start or later. For a process that can no longer read the files of
 * its own program after it has dropped its privileges.
 */
export async function loadAll(): Promise<void> {
  const app = fastify({ logger: false, schemaController: { compilersFactory: schemaCompilers } });
  addOpenApiRoute(app);
  await app.inject('/openapi.json');
  await app.close();
}
