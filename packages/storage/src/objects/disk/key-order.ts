/** Sorts after all that follows a slash in a key. */
export const lastCharacter = '\u{10ffff}';

/** UTF-16 and UTF-8 have different orders only for characters from here on. */
const differing = /[\ud800-\uffff]/;

/** Whether JavaScript's order of strings is that of the bytes. */
export const isPlainKey = (key: string): boolean => !differing.test(key);

/** By the bytes of UTF-8, as object stores sort. */
export function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
