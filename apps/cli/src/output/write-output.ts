import { once } from 'node:events';

/**
 * Writes everything to the standard output and leaves it open. A reader that does not read makes this wait; an abort of
 * `stop` ends that, and its reason is thrown. `stream.pipeline` with `end: false` would go on waiting for the reader.
 */
export async function writeOutput(source: AsyncIterable<Uint8Array>, stop: AbortSignal): Promise<void> {
  for await (const chunk of source) {
    stop.throwIfAborted();
    if (!process.stdout.write(chunk)) await once(process.stdout, 'drain', { signal: stop });
  }
}
