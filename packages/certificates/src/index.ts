export { createAuthority } from './create-authority.ts';
export { issueCertificate, openIssuer } from './issue-certificate.ts';
export type { Issuer } from './issue-certificate.ts';
export { createKeyPair } from './keys.ts';
export { loadX509 } from './load-x509.ts';
export { subjectHash } from './subject-hash.ts';
export type { CertificateWithKey, KeyPair, Lifetime } from './keys.ts';
