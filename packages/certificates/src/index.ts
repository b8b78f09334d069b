export { createAuthority } from './create-authority.ts';
export { issueCertificate, openIssuer } from './issue-certificate.ts';
export type { Issuer } from './issue-certificate.ts';
export { subjectHash } from './subject-hash.ts';
export type { CertificateWithKey, Lifetime } from './keys.ts';
