import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { namedErrors, noContent } from '../http/schemas.ts';
import { beginContent, contentConfig } from './content-call.ts';
import { contentParams, pathQuery } from './schemas.ts';

export function addRemovePathRoute(app: ApiApp, context: ApiContext): void {
  app.delete(
    '/volumecontent/:volumeID/path',
    {
      config: contentConfig,
      schema: {
        tags: ['volumes'],
        summary: 'Remove a file, or a folder with everything in it, from a volume',
        params: contentParams,
        querystring: pathQuery,
        response: { 204: noContent, ...namedErrors(400, 404, 501, 503) },
      },
    },
    async (request, reply) => {
      const content = await beginContent(context, request, reply, 'volume.write');
      const { body } = await content.call({ method: 'DELETE', what: 'path', query: request.query });
      body.resume();
      return await reply.code(204).send(null);
    },
  );
}
