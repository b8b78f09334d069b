import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { namedErrors } from '../http/schemas.ts';
import { beginContent, contentConfig } from './content-call.ts';
import { readEntry } from './read-entry.ts';
import { contentParams, entrySchema, pathQuery } from './schemas.ts';

export function addStatPathRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/volumecontent/:volumeID/path',
    {
      config: contentConfig,
      schema: {
        tags: ['volumes'],
        summary: 'Get the attributes of a file or folder of a volume',
        params: contentParams,
        querystring: pathQuery,
        response: { 200: entrySchema, ...namedErrors(400, 404, 501, 503) },
      },
    },
    async (request, reply) => {
      const content = await beginContent(context, request, reply, 'volume.read');
      return await readEntry(await content.call({ method: 'GET', what: 'path', query: request.query }));
    },
  );
}
