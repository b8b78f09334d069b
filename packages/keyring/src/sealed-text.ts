import { SoulBoxError } from '@soulbox/base';
import { decrypt, encrypt, nonceBytes, tagBytes } from './gcm.ts';
import { bytesOfPlace } from './place.ts';
import type { Place } from './place.ts';

/**
 * The first format: `sb1.` and base64url without padding of
 *
 *     data key id (16 bytes) | nonce (12) | ciphertext (as long as the value in UTF-8) | tag (16)
 *
 * AES-256-GCM authenticates `sb1.`, the data key id and the place as well.
 */
const format = 'sb1.';
export const dataKeyIdBytes = 16;
const overheadBytes = dataKeyIdBytes + nonceBytes + tagBytes;
/** Larger values do not belong into records. A record of the runner, with all variables of a sandbox, is one value. */
export const valueMaxBytes = 16 * 1024 * 1024;
const textMax = format.length + Math.ceil(((valueMaxBytes + overheadBytes) * 4) / 3);

export interface SealedText {
  readonly dataKeyId: string;
  readonly bytes: Buffer;
}

/** Throws `bad_request` for a text that is too long or has no UTF-8 form. */
export function seal(key: Uint8Array, dataKeyId: string, text: string, place: Place): string {
  if (!text.isWellFormed()) throw new SoulBoxError('bad_request', 'The value contains a broken surrogate pair.');
  const plain = Buffer.from(text, 'utf8');
  if (plain.length > valueMaxBytes)
    throw new SoulBoxError('bad_request', `The value has ${plain.length} bytes. The maximum is ${valueMaxBytes}.`);
  const id = Buffer.from(dataKeyId, 'hex');
  const bytes = encrypt(key, plain, associatedData(id, place));
  plain.fill(0);
  return format + Buffer.concat([id, bytes]).toString('base64url');
}

/** Undefined for a text that is not of this format. Base64url has several spellings of some bytes; one is accepted. */
export function parseSealedText(text: string): SealedText | undefined {
  if (!text.startsWith(format) || text.length > textMax) return undefined;
  const encoded = text.slice(format.length);
  const bytes = Buffer.from(encoded, 'base64url');
  if (bytes.length < overheadBytes || bytes.toString('base64url') !== encoded) return undefined;
  return { dataKeyId: bytes.subarray(0, dataKeyIdBytes).toString('hex'), bytes: bytes.subarray(dataKeyIdBytes) };
}

/** The id of the data key that an encrypted value needs. */
export function dataKeyIdOf(text: string): string | undefined {
  return parseSealedText(text)?.dataKeyId;
}

/** Undefined if the text was not sealed with this key for this place. */
export function open(key: Uint8Array, { dataKeyId, bytes }: SealedText, place: Place): string | undefined {
  const plain = decrypt(key, bytes, associatedData(Buffer.from(dataKeyId, 'hex'), place));
  if (plain === undefined) return undefined;
  const text = plain.toString('utf8');
  plain.fill(0);
  return text;
}

const associatedData = (id: Buffer, place: Place): Buffer =>
  Buffer.concat([Buffer.from(format, 'ascii'), id, bytesOfPlace(place)]);
