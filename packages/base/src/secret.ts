import { timingSafeEqual, createHash } from 'node:crypto';

/** `inspect.custom` of node:util, whose load takes envd several milliseconds (nodejs.org/api/util.html). */
const inspectCustom = Symbol.for('nodejs.util.inspect.custom');

/** A string that is never printed: logs, JSON and string templates show `[redacted]`. */
// oxlint-disable-next-line soulbox/no-plain-class -- a value that is told from others by its class
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The only access to the value. Call it only where the value leaves the process. */
  reveal(): string {
    return this.#value;
  }

  /** Compares in a time that depends neither on where the two differ nor on their lengths. */
  equals(other: string): boolean {
    return constantTimeEqual(this.#value, other);
  }

  toString(): string {
    return '[redacted]';
  }

  toJSON(): string {
    return '[redacted]';
  }

  [inspectCustom](): string {
    return '[redacted]';
  }
}

/** Compares two strings in constant time by comparing their SHA-256 digests. */
export function constantTimeEqual(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
