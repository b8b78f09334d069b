import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { namedErrors } from '../http/schemas.ts';
import { beginContent, contentConfig } from './content-call.ts';
import { limitsOfWrite } from './write-limits.ts';
import { readEntry } from './read-entry.ts';
import { contentParams, entrySchema, makeDirQuery } from './schemas.ts';

export function addMakeDirRoute(app: ApiApp, context: ApiContext): void {
  app.post(
    '/volumecontent/:volumeID/dir',
    {
      config: contentConfig,
      schema: {
        tags: ['volumes'],
        summary: 'Make a folder in a volume',
        params: contentParams,
        querystring: makeDirQuery,
        response: { 201: entrySchema, ...namedErrors(400, 404, 409, 501, 503) },
      },
    },
    async (request, reply) => {
      const content = await beginContent(context, request, reply, 'volume.write');
      const query = { ...request.query, ...(await limitsOfWrite(context, content)) };
      const made = await readEntry(await content.call({ method: 'POST', what: 'dir', query }));
      return await reply.code(201).send(made);
    },
  );
}
