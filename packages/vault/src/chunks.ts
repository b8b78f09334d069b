/** Cuts a stream into chunks of one size; the last one may be shorter. Empty content has none. */
export async function* chunksOf(content: AsyncIterable<Uint8Array>, sizeBytes: number): AsyncGenerator<Uint8Array> {
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  for await (const piece of content) {
    let rest = piece;
    while (pendingBytes + rest.length >= sizeBytes) {
      const cut = sizeBytes - pendingBytes;
      yield Buffer.concat([...pending, rest.subarray(0, cut)]);
      rest = rest.subarray(cut);
      pending = [];
      pendingBytes = 0;
    }
    if (rest.length === 0) continue;
    pending.push(rest);
    pendingBytes += rest.length;
  }
  if (pendingBytes > 0) yield Buffer.concat(pending);
}
