// Loaded into tenants' programs: `node --require /.soulbox/reseed/node.cjs`, see docs/fork.md. Compiled to CommonJS.
//
// Copies of a running sandbox share the state of OpenSSL's generator, and Node has no function to seed it again. So the
// functions that return random bytes read them from the kernel each time instead. `Math.random` must stay fast: it is
// seeded again when envd sends SIGURG to the Node programs of a copy that handle it. Keys that OpenSSL generates itself
// (generateKey, TLS) are not covered.
import crypto from 'node:crypto';
import { closeSync as close, openSync as open, readSync as read } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

type Callback<T> = (error: Error | null, value: T) => void;
type AnyFunction = (this: unknown, ...args: unknown[]) => unknown;
type Patched = Record<string, AnyFunction>;

// Bound here, because a program may replace them.
const [closeSync, openSync, readSync] = [close, open, read];
const uuidBytes = 16;

/**
 * Fills from the kernel. Opens the device each time, because a program that closes descriptors must not redirect the
 * read.
 */
function fill(view: ArrayBufferView): void {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const fd = openSync('/dev/urandom', 'r');
  try {
    for (let done = 0; done < bytes.length;) done += readSync(fd, bytes, done, bytes.length - done, null);
  } finally {
    closeSync(fd);
  }
}

/** Returns an unbiased whole number below `range`, which is at most 2 ** 48. */
function drawBelow(range: number): number {
  const bytes = Buffer.alloc(6);
  const limit = 2 ** 48 - (2 ** 48 % range);
  for (;;) {
    fill(bytes);
    const drawn = bytes.readUIntBE(0, 6);
    if (drawn < limit) return drawn % range;
  }
}

function drawUuid(): string {
  const bytes = Buffer.alloc(uuidBytes);
  fill(bytes);
  // Version 4, variant of RFC 9562.
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/**
 * Replaces the result of a function, returned or passed to a callback, by `replace(result, args)`. The function itself
 * still runs: it checks its arguments, and calls back at the same time as before.
 */
function patch(target: object, name: string, replace: (result: unknown, args: readonly unknown[]) => unknown): void {
  const functions = target as Patched;
  const original = functions[name];
  if (original === undefined) return;
  functions[name] = function (...args) {
    const callback = args.at(-1);
    if (typeof callback !== 'function') return replace(original.apply(this, args), args);
    const inputs = args.slice(0, -1);
    const wrapped: Callback<unknown> = (error, value) =>
      (callback as Callback<unknown>)(error, error ? value : replace(value, inputs));
    return original.apply(this, [...inputs, wrapped]);
  };
}

const filled = (result: unknown): unknown => {
  fill(result as ArrayBufferView);
  return result;
};

/** `offset` and `size` count elements, as in Node. */
const filledPart = (result: unknown, [target, offset = 0, size]: readonly unknown[]): unknown => {
  const view = ArrayBuffer.isView(target) ? target : new Uint8Array(target as ArrayBuffer);
  const elementBytes = (view as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1;
  const start = Number(offset) * elementBytes;
  const length = size === undefined ? view.byteLength - start : Number(size) * elementBytes;
  fill(new Uint8Array(view.buffer, view.byteOffset + start, length));
  return result;
};

patch(crypto, 'randomBytes', filled);
patch(crypto, 'pseudoRandomBytes', filled);
patch(crypto, 'prng', filled);
patch(crypto, 'rng', filled);
patch(crypto, 'randomFillSync', filledPart);
patch(crypto, 'randomFill', filledPart);
patch(crypto, 'randomUUID', drawUuid);
patch(crypto, 'randomInt', (_result, [first, second]) =>
  second === undefined ? drawBelow(Number(first)) : Number(first) + drawBelow(Number(second) - Number(first)),
);
const web = (crypto as { webcrypto?: object }).webcrypto;
if (web !== undefined) {
  const prototype = Object.getPrototypeOf(web) as object;
  patch(prototype, 'getRandomValues', filled);
  patch(prototype, 'randomUUID', drawUuid);
}
// Otherwise `import { randomBytes }` would still return the old functions.
syncBuiltinESMExports();

/** xoshiro128** (Blackman and Vigna, 2018): a generator for `Math.random` that can be seeded, unlike V8's. */
function createGenerator(): () => number {
  const state = new Uint32Array(4);
  fill(state);
  const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by));
  const next = (): number => {
    let [a = 0, b = 0, c = 0, d = 0] = state;
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    state.set([a, b, c ^ shifted, rotate(d, 11)]);
    return result;
  };
  return () => ((next() >>> 5) * 2 ** 26 + (next() >>> 6)) / 2 ** 53;
}

process.on('SIGURG', () => {
  Math.random = createGenerator();
});
