import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { ApiContext } from '../context.ts';
import { contentReaderIdleMs } from '../limits.ts';
import type { VolumeAnswer } from '../volume-service/volume-service.ts';
import type { ContentRequest } from './content-call.ts';

/**
 * Sends what the volume service sends, as fast as the client takes it. A client that takes nothing for a minute is cut
 * off. Each team has a limited number of such answers at once.
 */
export async function passOn(
  context: ApiContext,
  { teamId, signal }: ContentRequest,
  reply: FastifyReply,
  answer: VolumeAnswer,
  type: string,
): Promise<FastifyReply> {
  const slot = takeSlot(context, teamId, answer);
  reply.raw.once('close', () => {
    slot[Symbol.dispose]();
    answer.body.destroy();
  });
  const idle = setTimeout(() => reply.raw.destroy(), contentReaderIdleMs);
  async function* taken(): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
        idle.refresh();
        yield chunk;
      }
    } finally {
      clearTimeout(idle);
    }
  }
  // A reader that takes nothing never hears of an error.
  signal.addEventListener('abort', () => reply.raw.destroy(), { once: true });
  void reply.code(answer.status).type(type);
  return await reply.send(Readable.from(taken(), { objectMode: false, highWaterMark: 1 }));
}

function takeSlot({ transfers }: ApiContext, teamId: string, { body }: VolumeAnswer): Disposable {
  try {
    return transfers.take('transfer of a volume file', teamId);
  } catch (thrown) {
    body.destroy();
    throw thrown;
  }
}
