import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { namedErrors } from '../http/schemas.ts';
import { beginContent, contentConfig } from './content-call.ts';
import { readEntry } from './read-entry.ts';
import { attributesSchema, contentParams, entrySchema, pathQuery } from './schemas.ts';

export function addSetAttributesRoute(app: ApiApp, context: ApiContext): void {
  app.patch(
    '/volumecontent/:volumeID/path',
    {
      config: contentConfig,
      schema: {
        tags: ['volumes'],
        summary: 'Set the owner, group or permissions of a file or folder of a volume',
        params: contentParams,
        querystring: pathQuery,
        body: attributesSchema,
        response: { 200: entrySchema, ...namedErrors(400, 404, 413, 415, 501, 503) },
      },
    },
    async (request, reply) => {
      const content = await beginContent(context, request, reply, 'volume.write');
      const query = { ...request.query, ...request.body };
      return await readEntry(await content.call({ method: 'PATCH', what: 'path', query }));
    },
  );
}
