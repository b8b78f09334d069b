import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { createJsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';

const notImplemented = 'x-soulbox-not-available';
const transform = createJsonSchemaTransform({});

/** Collects the schemas of all routes that are added later; `app.swagger()` then returns the document. */
export async function collectOpenApi(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'SoulBox API',
        version: '1',
        description:
          "The control plane: E2B's REST interface. Every error response has the form of `Error`. " +
          `Operations marked \`${notImplemented}\` return 501 in this version.`,
      },
      components: { securitySchemes: { ApiKeyAuth: { type: 'apiKey', in: 'header', name: 'X-API-Key' } } },
      security: [{ ApiKeyAuth: [] }],
    },
    transform: (document) => {
      const result = transform(document);
      const responses = Object.keys((document.schema as { response?: object } | undefined)?.response ?? {});
      const later = responses.includes('501') && !responses.some((status) => status.startsWith('2'));
      return later ? { ...result, schema: { ...result.schema, [notImplemented]: true } } : result;
    },
    transformObject: jsonSchemaTransformObject,
  });
}

/**
 * Serves the document. It is created once, because routes do not change while the server runs, and not before somebody
 * asks for it: it would be a third of the time that a start takes.
 */
export function addOpenApiRoute(app: FastifyInstance): void {
  let text: Buffer | undefined;
  app.get('/openapi.json', { config: { auth: 'none' }, schema: { hide: true } }, (_request, reply) => {
    text ??= Buffer.from(JSON.stringify(app.swagger()));
    return reply.type('application/json; charset=utf-8').send(text);
  });
}
