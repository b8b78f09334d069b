import { randomBytes, webcrypto } from 'node:crypto';
import { loadX509 } from './load-x509.ts';

export const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** Both in PEM; the key is PKCS #8. */
export interface CertificateWithKey {
  readonly certPem: string;
  readonly keyPem: string;
}

export interface Lifetime {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** The key in PKCS #8 as PEM. */
async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const { PemConverter } = await loadX509();
  return PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), PemConverter.PrivateKeyTag);
}

/** 16 random bytes in hex. The first bit is 0, because the number must be positive. */
export function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x01;
  return bytes.toString('hex');
}

/** A P-256 key that several certificates may have. */
export interface KeyPair {
  readonly keys: webcrypto.CryptoKeyPair;
  /** PKCS #8. */
  readonly keyPem: string;
}

export async function createKeyPair(): Promise<KeyPair> {
  const keys = await webcrypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify']);
  return { keys, keyPem: await exportKey(keys.privateKey) };
}
