import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { namedErrors } from '../http/schemas.ts';
import { beginContent, contentConfig } from './content-call.ts';
import { readEntry } from './read-entry.ts';
import { contentParams, entrySchema, renameQuery } from './schemas.ts';

export function addRenamePathRoute(app: ApiApp, context: ApiContext): void {
  app.post(
    '/volumecontent/:volumeID/rename',
    {
      config: contentConfig,
      schema: {
        tags: ['volumes'],
        summary: 'Rename or move a file or folder of a volume. SoulBox extension',
        params: contentParams,
        querystring: renameQuery,
        response: { 200: entrySchema, ...namedErrors(400, 404, 409, 501, 503) },
      },
    },
    async (request, reply) => {
      const content = await beginContent(context, request, reply, 'volume.write');
      return await readEntry(await content.call({ method: 'POST', what: 'rename', query: request.query }));
    },
  );
}
