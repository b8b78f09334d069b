import { createHash } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { SecureContext } from 'node:tls';
import type { Clock } from '@soulbox/base';
import { issueCertificate, openIssuer } from '@soulbox/certificates';
import type { Authority } from '../policies/policed-sandbox.ts';

/** Short, because nothing revokes a leaf. A new one is issued after half of it. Milliseconds. */
const lifetimeMs = 24 * 3_600_000;
/** Clocks in sandboxes may be behind, for example after a resume. */
const skewMs = 3_600_000;
/** Leaves in memory, of all sandboxes. The one that was used least recently is dropped. */
const cachedMax = 1000;

/** Certificates that sandboxes see instead of those of the hosts that they connect to. */
export interface LeafCertificates {
  /** Throws for an authority that is damaged. */
  contextFor(authority: Authority, name: string): Promise<SecureContext>;
}

export function createLeafCertificates(clock: Clock): LeafCertificates {
  const cache = new Map<string, { readonly context: Promise<SecureContext>; readonly renewAt: number }>();

  return {
    async contextFor(authority, name) {
      const key = `${createHash('sha256').update(authority.certificate).digest('base64')} ${name}`;
      const known = cache.get(key);
      cache.delete(key);
      const used =
        known !== undefined && clock.now() < known.renewAt
          ? known
          : { context: issueLeaf(authority, name, clock.now()), renewAt: clock.now() + lifetimeMs / 2 };
      cache.set(key, used);
      const [first] = cache.keys();
      if (cache.size > cachedMax && first !== undefined) cache.delete(first);
      return await used.context.catch((thrown: unknown) => {
        cache.delete(key);
        throw thrown;
      });
    },
  };
}

async function issueLeaf(authority: Authority, name: string, now: number): Promise<SecureContext> {
  const issuer = await openIssuer({ certPem: authority.certificate, keyPem: authority.privateKey.reveal() });
  const { certPem, keyPem } = await issueCertificate(issuer, {
    // A common name has at most 64 characters; clients read the other one.
    commonName: 'SoulBox egress',
    names: [{ type: 'dns', value: name }],
    notBefore: new Date(now - skewMs),
    notAfter: new Date(now + lifetimeMs),
  });
  return createSecureContext({ cert: certPem, key: keyPem, minVersion: 'TLSv1.2' });
}
