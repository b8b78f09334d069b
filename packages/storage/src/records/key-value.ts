import { randomBytes } from 'node:crypto';
import { Secret } from '@soulbox/base';
import type { ApiKeyMask } from './api-keys.ts';

/** E2B's Python client accepts only `e2b_` and lower-case hexadecimal digits. */
const keyPrefix = 'e2b_';
const keyBytes = 20;
/** Longer texts are refused before anything is computed. Our keys have 44 characters. */
const presentedMax = 256;

/**
 * Digits after `e2b_` by which a key is found. They count as public: they are stored as they are and may be logged.
 * The other 32 digits (128 bits) are the secret part.
 */
const lookupDigits = 8;

export function createKeyValue(): Secret {
  return new Secret(keyPrefix + randomBytes(keyBytes).toString('hex'));
}

/** The parts of a new key that may be shown. */
export function maskOf(key: Secret): ApiKeyMask {
  const value = key.reveal().slice(keyPrefix.length);
  return {
    prefix: keyPrefix,
    valueLength: value.length,
    maskedValuePrefix: value.slice(0, 2),
    maskedValueSuffix: value.slice(-4),
  };
}

/** The public part of a key of ours, by which it is found. */
export function lookupOf(key: string): string {
  return key.slice(keyPrefix.length, keyPrefix.length + lookupDigits);
}

/**
 * The same for a key that an earlier version made. Of those, only the mask is known: the first two digits and the last
 * four.
 */
export function oldLookupOf(key: string): string {
  return key.slice(keyPrefix.length, keyPrefix.length + 2) + key.slice(-4);
}

/** Whether a text can be a key at all. */
export function canBeKey(presented: string): boolean {
  return presented.length <= presentedMax && presented.startsWith(keyPrefix);
}
