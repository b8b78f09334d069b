import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { keySignalOf } from '../auth/key-signal.ts';
import type { ApiContext } from '../context.ts';

/** Time for a route to say by itself, in its stream, that the key has ended. Milliseconds. */
const graceMs = 500;

/** Cuts off every streamed response whose key is revoked or expires. */
export function endStreams(app: FastifyInstance, context: ApiContext): void {
  app.addHook('onSend', (request, reply, payload, done) => {
    if (payload instanceof Readable && request.caller) {
      const signal = keySignalOf(request, reply, context);
      signal.addEventListener('abort', () => {
        const late = setTimeout(() => payload.destroy(signal.reason as Error), graceMs);
        reply.raw.once('close', () => clearTimeout(late));
      });
    }
    done(null, payload);
  });
}
