import { Transform } from 'node:stream';
import type { Secret } from '@soulbox/base';

/** Shorter values occur by chance. */
const shortestMasked = 8;

/**
 * Replaces values that a server sends back by as many asterisks, so that the length of the body stays. It holds back only
 * bytes at the end of a chunk that could be the beginning of a value. A server can send a value in another form, for
 * example encoded or in parts: this is for servers that repeat a request, not for hostile ones.
 */
export function createEchoMask(secrets: readonly Secret[]): Transform | undefined {
  const values = secrets
    .map((secret) => Buffer.from(secret.reveal(), 'latin1'))
    .filter((value) => value.length >= shortestMasked);
  if (values.length === 0) return undefined;
  let held: Buffer = Buffer.alloc(0);
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const bytes = mask(held.length === 0 ? chunk : Buffer.concat([held, chunk]), values);
      const keep = Math.max(...values.map((value) => beginsAtEnd(bytes, value)));
      held = bytes.subarray(bytes.length - keep);
      done(null, bytes.subarray(0, bytes.length - keep));
    },
    flush(done) {
      done(null, held);
    },
  });
}

function mask(bytes: Buffer, values: readonly Buffer[]): Buffer {
  let masked: Buffer | undefined;
  for (const value of values)
    for (let at = bytes.indexOf(value); at >= 0; at = bytes.indexOf(value, at + value.length)) {
      masked ??= Buffer.from(bytes);
      masked.fill('*', at, at + value.length);
    }
  return masked ?? bytes;
}

/** The length of the longest end of the bytes that is a beginning of the value. */
function beginsAtEnd(bytes: Buffer, value: Buffer): number {
  const first = value[0] ?? 0;
  const from = Math.max(0, bytes.length - value.length + 1);
  for (let at = bytes.indexOf(first, from); at >= 0; at = bytes.indexOf(first, at + 1))
    if (bytes.compare(value, 0, bytes.length - at, at) === 0) return bytes.length - at;
  return 0;
}
