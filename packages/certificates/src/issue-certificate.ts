import { webcrypto } from 'node:crypto';
import type * as x509 from '@peculiar/x509';
import { createKeyPair, keyAlgorithm, serialNumber } from './keys.ts';
import { loadX509 } from './load-x509.ts';
import type { CertificateWithKey, KeyPair, Lifetime } from './keys.ts';

/** A CA that is ready to sign. */
export interface Issuer {
  readonly certificate: x509.X509Certificate;
  readonly signingKey: webcrypto.CryptoKey;
}

/** Throws for text that is not a certificate, or not a P-256 key. */
export async function openIssuer({ certPem, keyPem }: CertificateWithKey): Promise<Issuer> {
  const { PemConverter, X509Certificate } = await loadX509();
  const key = PemConverter.decodeFirst(keyPem);
  return {
    certificate: new X509Certificate(certPem),
    signingKey: await webcrypto.subtle.importKey('pkcs8', key, keyAlgorithm, false, ['sign']),
  };
}

/** Issues a certificate of a server, with a P-256 key of its own unless one is given. It ends no later than that of the issuer. */
export async function issueCertificate(
  { certificate: issuer, signingKey }: Issuer,
  options: Lifetime & {
    readonly commonName: string;
    readonly names: x509.JsonGeneralNames;
    readonly keyPair?: KeyPair;
  },
): Promise<CertificateWithKey> {
  const { commonName, names, notBefore, notAfter } = options;
  const x509 = await loadX509();
  const { keys, keyPem } = options.keyPair ?? (await createKeyPair());
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: serialNumber(),
      subject: `CN=${commonName}`,
      issuer: issuer.subject,
      notBefore,
      notAfter: new Date(Math.min(notAfter.getTime(), issuer.notAfter.getTime())),
      signingAlgorithm: keyAlgorithm,
      publicKey: keys.publicKey,
      signingKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(names),
        await x509.AuthorityKeyIdentifierExtension.create(issuer, false, webcrypto),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return { certPem: certificate.toString('pem'), keyPem };
}
