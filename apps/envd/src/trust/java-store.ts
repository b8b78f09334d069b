import { createHash } from 'node:crypto';

/** Checked only by programs that give a password; this is the one that Java's own store has. */
const password = 'changeit';
const magic = 0xfeedfeed;
const version = 2;
const trustedCertificate = 2;

/**
 * A trust store in Java's own format (JKS, as `sun.security.provider.JavaKeyStore` reads it). Each entry: tag, alias,
 * time, type and DER of the certificate. A SHA-1 digest over password, a fixed text and the store follows.
 */
export function javaStoreFromPem(pem: string): Buffer {
  const certificates = derFromPem(pem);
  const entries = certificates.flatMap((der, index) => [
    uint32(trustedCertificate),
    text(`ca-${index}`),
    Buffer.alloc(8),
    text('X.509'),
    uint32(der.length),
    der,
  ]);
  const store = Buffer.concat([uint32(magic), uint32(version), uint32(certificates.length), ...entries]);
  const key = Buffer.from(password, 'utf16le').swap16();
  const digest = createHash('sha1').update(key).update('Mighty Aphrodite').update(store).digest();
  return Buffer.concat([store, digest]);
}

function derFromPem(pem: string): Buffer[] {
  const blocks = pem.matchAll(/-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g);
  return Array.from(blocks, ([, body = '']) => Buffer.from(body, 'base64'));
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Java's modified UTF-8, which is ASCII here, after its length. */
function text(value: string): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(value.length);
  return Buffer.concat([length, Buffer.from(value, 'ascii')]);
}
