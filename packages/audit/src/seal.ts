import { createCipheriv, createDecipheriv, createHmac, createSecretKey, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { Secret, SoulBoxError } from '@soulbox/base';
import { takeRandom } from './random-pool.ts';

const algorithm = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = 16;
const keyBytes = 32;

/** Where the data key of a subject is stored; a sealed key that is moved elsewhere cannot be opened there. */
export interface SubjectKeyPlace {
  readonly table: 'audit_subjects';
  /** The id of the key. */
  readonly row: string;
  readonly field: 'key';
  readonly team: string;
}

/** Encrypts data keys of subjects: the keyring of the server. */
export interface SubjectKeySealer {
  seal(value: Secret, place: SubjectKeyPlace): Promise<string>;
  /** Throws if `sealed` was changed or was made for another place. */
  open(sealed: string, place: SubjectKeyPlace): Promise<Secret>;
}

/** The data key of one subject as it is stored. Without it, nobody can read the subject's sealed fields. */
export interface StoredSubjectKey {
  /** Random, and in clear in each record: names the key without naming the subject. */
  readonly id: string;
  /** The 32 bytes in base64, encrypted by a `SubjectKeySealer`. */
  readonly sealed: string;
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

/** The place of a subject's key in the records. */
export function placeOfSubjectKey(team: string, id: string): SubjectKeyPlace {
  return { table: 'audit_subjects', row: id, field: 'key', team };
}

/** A new data key, and its stored form. */
export async function createSubjectKey(
  sealer: SubjectKeySealer,
  team: string,
): Promise<{ key: SubjectKey; stored: StoredSubjectKey }> {
  const [id, key] = [randomBytes(12).toString('hex'), randomBytes(keyBytes)];
  const sealed = await sealer.seal(new Secret(key.toString('base64')), placeOfSubjectKey(team, id));
  return { key: { id, key: createSecretKey(key) }, stored: { id, sealed } };
}

export async function openSubjectKey(
  sealer: SubjectKeySealer,
  team: string,
  { id, sealed }: StoredSubjectKey,
): Promise<SubjectKey> {
  const key = Buffer.from((await sealer.open(sealed, placeOfSubjectKey(team, id))).reveal(), 'base64');
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
