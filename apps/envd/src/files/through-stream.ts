import type { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Passes chunks through a transform stream at the speed of the consumer. Throws the errors of both. */
export async function* throughStream(
  chunks: AsyncIterable<Uint8Array>,
  transform: Transform,
): AsyncGenerator<Buffer, void> {
  const feeding = pipeline(chunks, transform);
  // The iteration below reports this error. If it ends early, nobody needs the error.
  feeding.catch(() => undefined);
  yield* transform as AsyncIterable<Buffer>;
  await feeding;
}
