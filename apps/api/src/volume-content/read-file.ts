import { z } from 'zod';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { namedErrors } from '../http/schemas.ts';
import { beginContent, contentConfig } from './content-call.ts';
import { passOn } from './pass-on.ts';
import { contentParams, pathQuery } from './schemas.ts';

/** The headers of the volume service's answer that the client gets. */
const passed = ['content-length', 'content-range', 'accept-ranges'] as const;

export function addReadFileRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/volumecontent/:volumeID/file',
    {
      config: contentConfig,
      schema: {
        tags: ['volumes'],
        summary: 'Read a file of a volume, or with the header `Range` one range of it',
        params: contentParams,
        querystring: pathQuery,
        response: {
          200: z.any().describe('The bytes.'),
          206: z.any().describe('The bytes of the range.'),
          ...namedErrors(400, 404, 416, 501, 503),
        },
      },
    },
    async (request, reply) => {
      const content = await beginContent(context, request, reply, 'volume.read');
      const { range } = request.headers;
      const answer = await content.call({
        ...{ method: 'GET', what: 'file', query: request.query },
        ...(range === undefined ? {} : { headers: { range } }),
      });
      for (const name of passed) {
        const value = answer.headers[name];
        if (typeof value === 'string') void reply.header(name, value);
      }
      // Whatever a tenant has stored, a browser must not run it as a page of this server.
      void reply.header('content-disposition', 'attachment').header('cache-control', 'no-store');
      return await passOn(context, content, reply, answer, 'application/octet-stream');
    },
  );
}
