import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { createJsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { startTestApi } from './test-api.ts';

const notImplemented = 'x-soulbox-not-available';
const transform = createJsonSchemaTransform({});

/** Returns the OpenAPI document as text, made from the schemas of the routes. For `npm run api-types`. */
export async function describeApi(): Promise<string> {
  let described: FastifyInstance | undefined;
  await using api = await startTestApi({
    beforeRoutes: async (app) => {
      described = app;
      await collectOpenApi(app);
    },
  });
  if (described === undefined) throw new Error(`The API at ${api.url} has no routes.`);
  return `${JSON.stringify(described.swagger(), null, 1)}\n`;
}

/** Collects the schemas of all routes that are added later; `app.swagger()` then returns the document. */
async function collectOpenApi(app: FastifyInstance): Promise<void> {
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
