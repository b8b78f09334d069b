/** Files by name. */
export type StoredFiles = Map<string, Buffer>;

export type StoredOperation =
  | { readonly kind: 'write' | 'append'; readonly name: string; readonly length: number }
  | { readonly kind: 'unlink'; readonly name: string }
  | { readonly kind: 'resize'; readonly name: string; readonly size: number };

const fileCount = 8;
const kib = 1024;
const none = Buffer.alloc(0);

/** The same numbers for the same seed. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** What the operation with this number is. It depends on nothing but the numbers and the files. */
export function operationAt(seed: number, number: number, files: StoredFiles): StoredOperation {
  const random = createRandom(seed * 100_003 + number);
  random();
  const name = `f${Math.floor(random() * fileCount)}`;
  const content = files.get(name);
  const kind = random();
  const length = Math.floor(random() ** 4 * 6000 * kib) + 1;
  if (content === undefined || kind < 0.4) return { kind: 'write', name, length };
  if (kind < 0.7) return { kind: 'append', name, length: Math.min(length, 900 * kib) };
  if (kind < 0.85) return { kind: 'resize', name, size: Math.floor(random() * content.length) };
  return { kind: 'unlink', name };
}

/** Bytes that no other operation writes. */
export function bytesOf(number: number, length: number): Buffer {
  return Buffer.alloc(length, `${number}.`);
}

export function applyStored(files: StoredFiles, operation: StoredOperation, number: number): void {
  const { kind, name } = operation;
  if (kind === 'unlink') files.delete(name);
  else if (kind === 'resize') files.set(name, (files.get(name) ?? none).subarray(0, operation.size));
  else {
    const before = kind === 'append' ? (files.get(name) ?? none) : none;
    files.set(name, Buffer.concat([before, bytesOf(number, operation.length)]));
  }
}
