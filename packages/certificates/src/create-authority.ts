import { webcrypto } from 'node:crypto';
import { createKeyPair, keyAlgorithm, serialNumber } from './keys.ts';
import { loadX509 } from './load-x509.ts';
import type { CertificateWithKey, Lifetime } from './keys.ts';

/**
 * Creates a CA with a P-256 key that signs only certificates of servers, no further CAs. `commonName` must be unique, so
 * that two authorities do not look like one issuer.
 */
export async function createAuthority(
  options: Lifetime & { readonly commonName: string },
): Promise<CertificateWithKey> {
  const { commonName, notBefore, notAfter } = options;
  const x509 = await loadX509();
  const { keys, keyPem } = await createKeyPair();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serialNumber(),
      name: `CN=${commonName}`,
      ...{ notBefore, notAfter, keys },
      signingAlgorithm: keyAlgorithm,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return { certPem: certificate.toString('pem'), keyPem };
}
