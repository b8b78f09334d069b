import { Readable } from 'node:stream';
import { SoulBoxError } from '@soulbox/base';
import type { FastifyReply } from 'fastify';
import { callerOf } from '../auth/authenticate.ts';
import { isClosed, keySignalOf } from '../auth/key-signal.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, sandboxParams } from '../http/schemas.ts';
import { runLimits } from '../limits.ts';
import { getLive, withRow } from '../lookup/sandbox.ts';
import { collect } from './answer.ts';
import { detectedFrom, startRun } from './follow.ts';
import { linesOf } from './lines.ts';
import { runResultSchema, runSchema } from './schemas.ts';
import type { Run } from './schemas.ts';

const streamType = 'application/x-ndjson';

export function addRunRoute(app: ApiApp, context: ApiContext): void {
  app.post(
    '/sandboxes/:sandboxID/run',
    {
      // The run uses the disk of the sandbox.
      config: { room: 'own' },
      schema: {
        tags: ['sandboxes'],
        summary: 'Run code, a file or a project; the runtime is detected. SoulBox extension.',
        description:
          `Responds when the program ends. With \`Accept: ${streamType}\`, the response is a stream of lines, each a ` +
          '`RunEvent`: `detected`, output as it arrives, then `result`. Disconnecting kills the program; so does the end of the API key.',
        params: sandboxParams,
        body: runSchema,
        response: { 200: runResultSchema, ...errors(400, 404, 409, 413, 415, 501, 503, 504) },
      },
    },
    async (request, reply) => {
      const isStreamed = (request.headers.accept ?? '').includes(streamType);
      checkStreamed(request.body, isStreamed);
      const record = await getLive(context, callerOf(request), request.params.sandboxID);
      const ended = keySignalOf(request, reply, context);
      const options = { run: request.body, isStreamed, signal: AbortSignal.any([leftBy(reply), ended]), ended };
      return await withRow(context, record, async () => {
        const messages = startRun(context, record.id, options);
        // The first message arrives when the run is known to be possible. A failure before that has its own status.
        const detected = detectedFrom((await messages.next()).value);
        if (!isStreamed) return await collect(detected, messages, request.body.encoding);
        const lines = linesOf(detected, messages, request.body.encoding, context.logger);
        // Cast to the type of the other response: a stream is sent unchanged.
        return reply.type(streamType).send(Readable.from(lines) as never);
      });
    },
  );
}

function checkStreamed({ timeout, stdinOpen, outputLimit = 0 }: Run, isStreamed: boolean): void {
  if (isStreamed) return;
  const needs = `requires a streamed response (Accept: ${streamType})`;
  if (stdinOpen) throw new SoulBoxError('bad_request', `stdinOpen ${needs}.`);
  if (timeout > runLimits.answeredSeconds)
    throw new SoulBoxError('bad_request', `A timeout above ${runLimits.answeredSeconds} s ${needs}.`);
  if (outputLimit > runLimits.answeredOutputBytes)
    throw new SoulBoxError('bad_request', `An outputLimit above ${runLimits.answeredOutputBytes} bytes ${needs}.`);
}

/** Aborted when the client disconnects before its response is complete. */
function leftBy(reply: FastifyReply): AbortSignal {
  const left = new AbortController();
  if (isClosed(reply)) left.abort();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) left.abort();
  });
  return left.signal;
}
