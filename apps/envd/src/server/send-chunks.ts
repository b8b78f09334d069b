import type { ServerResponse } from 'node:http';

/** A client that reads nothing for this long is considered gone. */
const stallMs = 120_000;

/** Writes chunks at the speed of the client and ends the response. Rejects if the client is gone or stuck. */
export async function sendChunks(response: ServerResponse, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of chunks) {
    if (response.destroyed) throw new Error('The client disconnected.');
    if (!response.write(chunk)) await drained(response);
  }
  response.end();
}

async function drained(response: ServerResponse): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const settle = (error?: Error): void => {
      clearTimeout(timer);
      response.off('drain', onDrain).off('close', onClose);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onDrain = (): void => settle();
    const onClose = (): void => settle(new Error('The client disconnected.'));
    const timer = setTimeout(() => {
      settle(new Error('The client stopped reading the response.'));
      response.destroy();
    }, stallMs);
    response.once('drain', onDrain).once('close', onClose);
  });
}
