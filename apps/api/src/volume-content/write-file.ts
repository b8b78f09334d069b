import type { FastifyRequest } from 'fastify';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { arriving } from '../http/arriving.ts';
import { namedErrors } from '../http/schemas.ts';
import { beginContent, contentConfig } from './content-call.ts';
import { readEntry } from './read-entry.ts';
import { contentParams, entrySchema, writeQuery } from './schemas.ts';
import { explainTeamBytes } from '../volumes/team-bytes.ts';
import { limitsOfWrite, withHostRoom } from './write-limits.ts';

/** The body goes to the volume service as it arrives. A file that did not arrive as a whole is not there. */
export function addWriteFileRoute(app: ApiApp, context: ApiContext): void {
  void app.register((scope: ApiApp, _options, done) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, payload, parsed) => parsed(null, payload));
    scope.put(
      '/volumecontent/:volumeID/file',
      {
        config: { ...contentConfig, body: 'upload' },
        schema: {
          tags: ['volumes'],
          summary: 'Write a file of a volume; the body is its contents',
          params: contentParams,
          querystring: writeQuery,
          response: { 201: entrySchema, ...namedErrors(400, 404, 408, 409, 501, 503) },
        },
      },
      async (request, reply) => {
        const content = await beginContent(context, request, reply, 'volume.write');
        using _slot = context.transfers.take('transfer of a volume file', content.teamId);
        using held = new DisposableStack();
        const { signal } = content;
        signal.addEventListener('abort', () => request.raw.destroy(signal.reason as Error), { once: true });
        const limits = await limitsOfWrite(context, content);
        const length = lengthOf(request);
        const body = withHostRoom(context, arriving(request.raw), { length, held });
        const query = { ...request.query, ...limits, length };
        try {
          const written = await readEntry(await content.call({ method: 'PUT', what: 'file', query, body }));
          return await reply.code(201).send(written);
        } catch (thrown) {
          throw explainTeamBytes(thrown);
        }
      },
    );
    done();
  });
}

/** Undefined for a body of unknown length: official clients send streams so. */
function lengthOf({ headers }: FastifyRequest): number | undefined {
  const sent = headers['content-length'];
  return sent === undefined ? undefined : Number(sent);
}
