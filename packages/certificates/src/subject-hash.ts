import { createHash } from 'node:crypto';

/** The object identifier 2.5.4.3 of a common name, in DER. */
const commonNameOid = Buffer.from([0x06, 0x03, 0x55, 0x04, 0x03]);

/**
 * OpenSSL's hash of a subject that has only a common name, as `openssl x509 -subject_hash` prints it. OpenSSL looks for a
 * certificate under this name in a folder: the first four bytes, little-endian, of SHA-1 over the name in its canonical
 * form (`X509_NAME_hash_ex`: UTF-8, ASCII in lower case, single spaces, without the outermost SEQUENCE).
 */
export function subjectHash(commonName: string): string {
  const canonical = commonName.trim().replaceAll(/ +/g, ' ');
  const text = Buffer.from(
    canonical.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase()),
    'utf8',
  );
  const attribute = der(0x30, Buffer.concat([commonNameOid, der(0x0c, text)]));
  return createHash('sha1').update(der(0x31, attribute)).digest().subarray(0, 4).reverse().toString('hex');
}

/** A common name has at most 64 characters, so every length fits into seven bits. */
const der = (tag: number, content: Buffer): Buffer => Buffer.concat([Buffer.from([tag, content.length]), content]);
