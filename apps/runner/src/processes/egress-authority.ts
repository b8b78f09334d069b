import { rootCertificates } from 'node:tls';
import { phase } from '@soulbox/base';
import type { Clock } from '@soulbox/base';
import { createAuthority, subjectHash } from '@soulbox/certificates';
import type { EnvdClient } from '@soulbox/envd-client';
import type { Tenant } from '../registry/record.ts';

/** The same for all sandboxes, so that a new authority takes the place of an older one in the trust stores. */
const commonName = 'SoulBox egress CA';
/** A paused sandbox may be resumed after years, and its processes have read the certificate only once. */
const lifetimeMs = 3650 * 86_400_000;
/** Clocks in sandboxes may be behind. */
const skewMs = 86_400_000;

/** The certificate authority that only one sandbox and its forks trust. Both in PEM. */
export interface EgressAuthority {
  readonly certificate: string;
  readonly privateKey: string;
}

/** Makes the authority of a sandbox whose policy gets rules for the first time. */
export async function createEgressAuthority(clock: Clock): Promise<EgressAuthority> {
  const now = clock.now();
  const { certPem, keyPem } = await createAuthority({
    commonName,
    notBefore: new Date(now - skewMs),
    notAfter: new Date(now + lifetimeMs),
  });
  return { certificate: `${certPem.trim()}\n`, privateKey: `${keyPem.trim()}\n` };
}

/**
 * Makes sure that a sandbox whose policy has rules trusts an authority of its own. Returns what its record must keep;
 * empty without rules. Throws `sandbox_unreachable`.
 */
export async function trustedAuthority(
  { clock }: { readonly clock: Clock },
  envd: Pick<EnvdClient, 'trust'>,
  { network, authority }: Pick<Tenant, 'network' | 'authority'>,
): Promise<Pick<Tenant, 'authority'>> {
  if (Object.keys(network.rules ?? {}).length === 0) return authority === undefined ? {} : { authority };
  const own = authority ?? (await createEgressAuthority(clock));
  await phase('trust', async () => await installAuthority(envd, own));
  return { authority: own };
}

/**
 * Adds the certificate to the trust stores in the sandbox. envd gets no key. Repeat it after a start on kept files: envd
 * has forgotten the variables then. Throws `sandbox_unreachable`.
 */
export async function installAuthority(
  envd: Pick<EnvdClient, 'trust'>,
  { certificate }: EgressAuthority,
): Promise<void> {
  const authority = { certificate, subjectHash: subjectHash(commonName) };
  if (await envd.trust(authority)) await envd.trust({ ...authority, roots: rootCertificates.join('\n') });
}
