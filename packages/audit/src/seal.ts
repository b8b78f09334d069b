import { createCipheriv, createDecipheriv, createHmac, createSecretKey, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { SoulBoxError } from '@soulbox/base';
import { takeRandom } from './random-pool.ts';

const algorithm = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = 16;
const keyBytes = 32;

/** Wraps data keys under a key that is kept elsewhere. `place` binds the result to what the key is for. */
export interface KeyWrap {
  /** The key that wraps now. */
  readonly keyId: string;
  wrap(dataKey: Buffer, place: string): Promise<Buffer>;
  /** Throws if `wrapped` was changed, was made for another place, or its key is not known. */
  unwrap(wrapped: Buffer, place: string, keyId: string): Promise<Buffer>;
}

/** The data key of one subject as it is stored. Without it, nobody can read the subject's sealed fields. */
export interface StoredSubjectKey {
  /** Random, and in clear in each record: names the key without naming the subject. */
  readonly id: string;
  readonly wrapped: Buffer;
  /** `KeyWrap.keyId` when it was wrapped. */
  readonly wrapKeyId: string;
}

export interface SubjectKey {
  readonly id: string;
  readonly key: KeyObject;
}

/** Personal fields of a record. */
export interface PersonalFields {
  /** The whole address. */
  readonly ip?: string | undefined;
  /** The whole user agent, cut to a length. */
  readonly userAgent?: string | undefined;
}

const placeOf = (id: string): string => `audit subject ${id}`;

/** A new data key, and its stored form. */
export async function createSubjectKey(wrap: KeyWrap): Promise<{ key: SubjectKey; stored: StoredSubjectKey }> {
  const [id, key] = [randomBytes(12).toString('hex'), randomBytes(keyBytes)];
  const wrapped = await wrap.wrap(key, placeOf(id));
  return { key: { id, key: createSecretKey(key) }, stored: { id, wrapped, wrapKeyId: wrap.keyId } };
}

export async function openSubjectKey(wrap: KeyWrap, { id, wrapped, wrapKeyId }: StoredSubjectKey): Promise<SubjectKey> {
  const key = await wrap.unwrap(wrapped, placeOf(id), wrapKeyId);
  if (key.length !== keyBytes) throw new SoulBoxError('state_damaged', 'A data key of the audit log is damaged.');
  return { id, key: createSecretKey(key) };
}

/** Encrypts the personal fields of the record with this id. base64url of nonce, ciphertext and tag. */
export function sealFields(fields: PersonalFields, { key }: SubjectKey, recordId: string): string {
  const nonce = takeRandom(nonceBytes);
  const cipher = createCipheriv(algorithm, key, nonce).setAAD(Buffer.from(recordId));
  const text = Buffer.concat([cipher.update(JSON.stringify(fields), 'utf8'), cipher.final()]);
  return Buffer.concat([nonce, text, cipher.getAuthTag()]).toString('base64url');
}

/** Throws `state_damaged` for fields that were sealed with another key or for another record. */
export function openFields(sealed: string, { key }: SubjectKey, recordId: string): PersonalFields {
  const bytes = Buffer.from(sealed, 'base64url');
  try {
    const decipher = createDecipheriv(algorithm, key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes })
      .setAAD(Buffer.from(recordId))
      .setAuthTag(bytes.subarray(-tagBytes));
    const text = Buffer.concat([decipher.update(bytes.subarray(nonceBytes, -tagBytes)), decipher.final()]);
    return JSON.parse(text.toString('utf8')) as PersonalFields;
  } catch (cause) {
    throw new SoulBoxError('state_damaged', 'The personal fields of the record cannot be decrypted.', { cause });
  }
}

/**
 * A search word for a personal value: HMAC-SHA256 under the subject's key, because addresses and phone numbers are few
 * enough to be guessed from a plain hash. It is gone with the key.
 */
export function pseudonym(value: string, { key }: SubjectKey): string {
  return createHmac('sha256', key).update(`pseudonym\n${value}`).digest('base64url');
}
