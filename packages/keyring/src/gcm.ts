import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const algorithm = 'aes-256-gcm';
/** AES-256. */
export const keyBytes = 32;
/** 96 bits, the length for which GCM is defined without hashing (NIST SP 800-38D, 8.2). */
export const nonceBytes = 12;
/** The full tag. Shorter ones would make forgeries easier. */
export const tagBytes = 16;

/** Returns nonce, ciphertext and tag. The nonce is random. */
export function encrypt(key: Uint8Array, plain: Uint8Array, associated: Uint8Array): Buffer {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv(algorithm, key, nonce, { authTagLength: tagBytes }).setAAD(associated);
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/**
 * Returns the plaintext. Undefined if the bytes were not encrypted with this key and these associated data. The caller
 * overwrites the result when it is a key.
 */
export function decrypt(key: Uint8Array, bytes: Uint8Array, associated: Uint8Array): Buffer | undefined {
  if (bytes.length < nonceBytes + tagBytes) return undefined;
  const decipher = createDecipheriv(algorithm, key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes })
    .setAAD(associated)
    .setAuthTag(bytes.subarray(-tagBytes));
  const plain = decipher.update(bytes.subarray(nonceBytes, -tagBytes));
  try {
    decipher.final();
    return plain;
  } catch {
    plain.fill(0);
    return undefined;
  }
}
