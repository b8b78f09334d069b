/** The beginning and the end of an output whose middle may be left out. */
export interface Clip {
  add(bytes: Uint8Array): void;
  /** UTF-8; bytes of other encodings are replaced. A line tells how many bytes are missing. */
  text(): string;
  /** Bytes that are not in the text. */
  omitted(): number;
}

/** Keeps at most `maxBytes`: half of it from the beginning, half of it from the end. */
export function createClip(maxBytes: number): Clip {
  const half = Math.floor(maxBytes / 2);
  const head = Buffer.alloc(half);
  let headLength = 0;
  /** A ring: the next byte goes to `next`. */
  const tail = Buffer.alloc(half);
  let next = 0;
  let tailTotal = 0;
  const omitted = (): number => Math.max(tailTotal - half, 0);
  return {
    add(bytes) {
      const toHead = bytes.subarray(0, half - headLength);
      head.set(toHead, headLength);
      headLength += toHead.length;
      const rest = bytes.subarray(toHead.length);
      tailTotal += rest.length;
      const kept = rest.subarray(Math.max(rest.length - half, 0));
      const untilEnd = kept.subarray(0, half - next);
      tail.set(untilEnd, next);
      tail.set(kept.subarray(untilEnd.length), 0);
      next = half === 0 ? 0 : (next + kept.length) % half;
    },
    omitted,
    text() {
      const begin = head.subarray(0, headLength);
      if (omitted() === 0) return Buffer.concat([begin, tail.subarray(0, tailTotal)]).toString('utf8');
      const end = Buffer.concat([tail.subarray(next), tail.subarray(0, next)]);
      return `${begin.toString('utf8')}\n[${omitted()} bytes left out]\n${end.toString('utf8')}`;
    },
  };
}
