import type { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Passes chunks through a transform stream, at the speed of whoever takes them. Errors of both come out. */
export async function* throughStream(
  chunks: AsyncIterable<Uint8Array>,
  transform: Transform,
): AsyncGenerator<Buffer, void> {
  const feeding = pipeline(chunks, transform);
  // Reported by the iteration below; when that ends early, by nobody.
  feeding.catch(() => undefined);
  yield* transform as AsyncIterable<Buffer>;
  await feeding;
}
