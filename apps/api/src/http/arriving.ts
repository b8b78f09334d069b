import type { IncomingMessage } from 'node:http';
import { SoulBoxError } from '@soulbox/base';
import { uploadIdleMs } from '../limits.ts';

/**
 * The bytes as they arrive. A silent sender is cut off, but not one that waits because the bytes are not taken. Node
 * verifies that the announced number of bytes arrives. A caller that stops early is about to answer with an error. The
 * connection stays open for that answer, and the rest of the body is dropped. The gateway ends the connection 2 s after
 * the answer.
 */
export async function* arriving(body: IncomingMessage): AsyncGenerator<Uint8Array> {
  const silence = new SoulBoxError('request_timeout', 'The upload stopped before it was complete. Retry.');
  const chunks = (body.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
  const next = async (): Promise<IteratorResult<Uint8Array>> => {
    const idle = setTimeout(() => body.destroy(silence), uploadIdleMs);
    try {
      return await chunks.next();
    } finally {
      clearTimeout(idle);
    }
  };
  try {
    for (let chunk = await next(); chunk.done !== true; chunk = await next()) yield chunk.value;
  } finally {
    await chunks.return?.();
    body.resume();
  }
}
