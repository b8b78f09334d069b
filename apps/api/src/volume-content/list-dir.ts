import { z } from 'zod';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { namedErrors } from '../http/schemas.ts';
import { beginContent, contentConfig } from './content-call.ts';
import { contentParams, entrySchema, listQuery } from './schemas.ts';
import { passOn } from './pass-on.ts';

export function addListDirRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/volumecontent/:volumeID/dir',
    {
      config: contentConfig,
      schema: {
        tags: ['volumes'],
        summary: 'List a folder of a volume',
        params: contentParams,
        querystring: listQuery,
        response: {
          200: { description: 'The entries.', content: { 'application/json': { schema: z.array(entrySchema) } } },
          ...namedErrors(400, 404, 501, 503),
        },
      },
    },
    async (request, reply) => {
      const content = await beginContent(context, request, reply, 'volume.read');
      const answer = await content.call({ method: 'GET', what: 'dir', query: request.query });
      return await passOn(context, content, reply, answer, 'application/json; charset=utf-8');
    },
  );
}
