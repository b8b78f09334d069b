const maxWaiting = 4096;

/** Joins and splits chunks into parts of `partBytes`, the last one shorter. Yields no empty part. */
export async function* splitIntoParts(
  source: AsyncGenerator<Uint8Array>,
  partBytes: number,
): AsyncGenerator<Uint8Array, undefined> {
  let waiting: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of source) {
    let rest = chunk;
    while (size + rest.length >= partBytes) {
      const head = rest.subarray(0, partBytes - size);
      yield joinChunks([...waiting, head]);
      waiting = [];
      size = 0;
      rest = rest.subarray(head.length);
    }
    if (rest.length === 0) continue;
    waiting.push(rest);
    size += rest.length;
    // Small chunks take more memory than their bytes.
    if (waiting.length >= maxWaiting) waiting = [joinChunks(waiting)];
  }
  if (size > 0) yield joinChunks(waiting);
  return undefined;
}

/** One chunk is not copied. */
function joinChunks(chunks: readonly Uint8Array[]): Uint8Array {
  const filled = chunks.filter(({ length }) => length > 0);
  return filled.length === 1 && filled[0] !== undefined ? filled[0] : Buffer.concat(filled);
}
