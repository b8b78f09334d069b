import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { writeFileAtomic } from '@soulbox/base';
import type { Clock } from '@soulbox/base';
import { issueCertificate, openIssuer } from '@soulbox/certificates';
import { dayMs, openAuthority, readIfPresent, skewMs } from './authority.ts';
import type { Authority } from './authority.ts';
import type { Certificate } from './certificate.ts';

/** Below every client's limit for server certificates. */
const lifetimeMs = 180 * dayMs;
/** A certificate with less time left is replaced. */
const renewBeforeMs = 30 * dayMs;

/**
 * Opens the server's certificate, signed by the CA in `directory`. Certificate and key are in one file, `server.pem`
 * (0600), so that no crash can separate them. It is created again if it is missing, damaged, near its end, or for
 * another domain or CA.
 */
export async function openOwnCertificate(directory: string, domain: string, clock: Clock): Promise<Certificate> {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const authority = await openAuthority(directory, clock);
  const file = join(directory, 'server.pem');
  const names = serverNames(domain);
  const present = await readIfPresent(file);
  if (present !== undefined && isUsable(present, authority, names, clock))
    return { certPem: present, keyPem: present, caFile: authority.caFile };
  const issued = await issue(authority, names, clock);
  await writeFileAtomic(file, issued, { mode: 0o600, durable: true });
  return { certPem: issued, keyPem: issued, caFile: authority.caFile };
}

/** Subject alternative names, in the order in which they are written and compared. */
function serverNames(domain: string): x509.JsonGeneralNames {
  const names = new Set([domain, `*.${domain}`, 'localhost', '*.localhost']);
  const addresses = new Set(['127.0.0.1', '::1']);
  if (isIP(domain) !== 0) {
    names.delete(domain);
    names.delete(`*.${domain}`);
    addresses.add(domain);
  }
  return [
    ...[...names].map((value) => ({ type: 'dns' as const, value })),
    ...[...addresses].map((value) => ({ type: 'ip' as const, value })),
  ];
}

function isUsable(pem: string, authority: Authority, names: x509.JsonGeneralNames, clock: Clock): boolean {
  try {
    const certificate = new X509Certificate(pem);
    const signed = certificate.verify(new X509Certificate(authority.certPem).publicKey);
    const belongs = certificate.checkPrivateKey(createPrivateKey(pem));
    const wanted = JSON.stringify(new x509.SubjectAlternativeNameExtension(names).names.toJSON());
    const present = new x509.X509Certificate(certificate.raw).getExtension(x509.SubjectAlternativeNameExtension);
    const sameNames = JSON.stringify(present?.names.toJSON()) === wanted;
    return signed && belongs && sameNames && Date.parse(certificate.validTo) - clock.now() >= renewBeforeMs;
  } catch {
    return false;
  }
}

async function issue(authority: Authority, names: x509.JsonGeneralNames, clock: Clock): Promise<string> {
  const { certPem, keyPem } = await issueCertificate(await openIssuer(authority), {
    commonName: 'SoulBox gateway',
    names,
    notBefore: new Date(clock.now() - skewMs),
    notAfter: new Date(clock.now() + lifetimeMs),
  });
  return `${certPem}\n${keyPem}\n`;
}
