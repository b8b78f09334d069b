import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError, SoulBoxError, writeFileAtomic } from '@soulbox/base';
import type { Clock } from '@soulbox/base';
import { createAuthority } from '@soulbox/certificates';
import type { CertificateWithKey } from '@soulbox/certificates';

export const dayMs = 86_400_000;
const lifetimeMs = 3650 * dayMs;
/** Certificates are valid from a little in the past, for clients whose clock is behind. */
export const skewMs = 3_600_000;

/** Our own CA. `keyPem` is in PKCS #8. */
export interface Authority extends CertificateWithKey {
  readonly caFile: string;
}

/**
 * Opens the CA in `directory` (`ca.pem`, and `ca.key` with mode 0600), or creates it if there is none. It is never
 * replaced silently, because clients trust it by its file. A damaged one throws `config_invalid`.
 */
export async function openAuthority(directory: string, clock: Clock): Promise<Authority> {
  const caFile = join(directory, 'ca.pem');
  const keyFile = join(directory, 'ca.key');
  const certPem = await readIfPresent(caFile);
  if (certPem === undefined) {
    const created = await createOwnAuthority(clock);
    // The key comes first: a crash in between leaves no `ca.pem`, and the next start creates both again.
    await writeFileAtomic(keyFile, created.keyPem, { mode: 0o600, durable: true });
    await writeFileAtomic(caFile, created.certPem, { mode: 0o644, durable: true });
    return { ...created, caFile };
  }
  const authority = { certPem, keyPem: (await readIfPresent(keyFile)) ?? '', caFile };
  if (!isUsable(authority, clock)) {
    throw new SoulBoxError(
      'config_invalid',
      `The certificate authority in ${directory} is damaged or has expired. Remove ca.pem and ca.key there to get a new one. Clients must then trust the new ca.pem.`,
    );
  }
  return authority;
}

function isUsable(authority: Authority, clock: Clock): boolean {
  try {
    const certificate = new X509Certificate(authority.certPem);
    const belongs = certificate.checkPrivateKey(createPrivateKey(authority.keyPem));
    return belongs && Date.parse(certificate.validTo) > clock.now();
  } catch {
    return false;
  }
}

async function createOwnAuthority(clock: Clock): Promise<CertificateWithKey> {
  return await createAuthority({
    // A unique name, so that two installations do not look like one issuer.
    commonName: `SoulBox local CA ${randomBytes(4).toString('hex')}`,
    notBefore: new Date(clock.now() - skewMs),
    notAfter: new Date(clock.now() + lifetimeMs),
  });
}

export async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
