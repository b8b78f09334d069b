import { SoulBoxError } from '@soulbox/base';
import { objectLimits } from './object-store.ts';

/**
 * Control characters, unpaired surrogates and code points that are no characters: XML cannot carry all of them. Azure
 * turns a backslash into a slash.
 */
const illegal = /[\\\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u;

/**
 * Throws `bad_request` unless all five stores keep the key as it is: valid Unicode without control characters and backslashes, no part
 * between slashes that is `.` or `..`, and none that is empty, except after a last slash.
 */
export function checkObjectKey(key: string, prefix: string): void {
  const fault = findKeyFault(key, prefix);
  if (fault === undefined) return;
  throw new SoulBoxError('bad_request', `${JSON.stringify(key.slice(0, 200))} is not a valid object key: ${fault}.`);
}

function findKeyFault(key: string, prefix: string): string | undefined {
  if (key === '') return 'it is empty';
  const max = objectLimits.keyBytes;
  if (key.length > max || Buffer.byteLength(prefix + key) > max) return `with its prefix it has more than ${max} bytes`;
  if (illegal.test(key)) return 'it has characters that some stores do not keep';
  const parts = key.split('/');
  if (parts.some((part) => part === '.' || part === '..')) return 'a part of it is "." or ".."';
  if (parts.slice(0, -1).includes('')) return 'a part of it is empty';
  return undefined;
}

/** Of the beginning of keys, which can end anywhere. */
export function checkListPrefix(prefix: string, storePrefix: string): void {
  const isLong = Buffer.byteLength(storePrefix) + Buffer.byteLength(prefix) > objectLimits.keyBytes;
  if (!isLong && !illegal.test(prefix)) return;
  throw new SoulBoxError(
    'bad_request',
    `${JSON.stringify(prefix.slice(0, 200))} is not the beginning of an object key.`,
  );
}
