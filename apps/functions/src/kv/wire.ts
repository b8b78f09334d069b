import { SoulBoxError } from '@soulbox/base';

/** Limits of Workers KV (its documentation, "Limits"). */
const keyBytesMax = 512;
const metadataBytesMax = 1024;
const lifeSecondsMin = 60;

export const metadataHeader = 'cf-kv-metadata';

/** The key in `/<percent-encoded key>`. */
export function keyFromPath(path: string): string {
  let key: string;
  try {
    key = decodeURIComponent(path.slice(1));
  } catch (cause) {
    throw new SoulBoxError('bad_request', 'The key is not valid UTF-8.', { cause });
  }
  if (key === '.' || key === '..') throw new SoulBoxError('bad_request', `"${key}" cannot be a key.`);
  if (key === '' || !key.isWellFormed() || key.includes('\0') || Buffer.byteLength(key) > keyBytesMax)
    throw new SoulBoxError('bad_request', `A key must have 1 to ${keyBytesMax} bytes.`);
  return key;
}

/** The expiry of a value in milliseconds; undefined when it does not expire. */
export function expiryFromQuery(query: URLSearchParams, now: number): number | undefined {
  const life = wholeNumber(query.get('expiration_ttl'), 'expirationTtl');
  const end = wholeNumber(query.get('expiration'), 'expiration');
  const expiresAt = life === undefined ? (end === undefined ? undefined : end * 1000) : now + life * 1000;
  if (expiresAt !== undefined && expiresAt < now + lifeSecondsMin * 1000)
    throw new SoulBoxError('bad_request', `A value must not expire in less than ${lifeSecondsMin} seconds.`);
  return expiresAt;
}

function wholeNumber(text: string | null, name: string): number | undefined {
  if (text === null) return undefined;
  if (!/^\d{1,12}$/.test(text)) throw new SoulBoxError('bad_request', `${name} must be a whole number of seconds.`);
  return Number(text);
}

/** JSON text, checked. */
export function metadataFromHeader(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  const text = String(header);
  if (Buffer.byteLength(text) > metadataBytesMax)
    throw new SoulBoxError('bad_request', `Metadata can have at most ${metadataBytesMax} bytes as JSON.`);
  try {
    return JSON.stringify(JSON.parse(text));
  } catch (cause) {
    throw new SoulBoxError('bad_request', 'Metadata must be valid JSON.', { cause });
  }
}

/** Infinity for a body without a length, or with one that is not valid by RFC 9110, section 8.6. */
export function bytesFromHeader(contentLength: string | undefined): number {
  return contentLength !== undefined && /^\d{1,15}$/.test(contentLength) ? Number(contentLength) : Infinity;
}
