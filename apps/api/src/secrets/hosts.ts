import { createHash } from 'node:crypto';
import type { AuditFacts } from '@soulbox/audit';
import { coversHost, hostPatternText, parseHostPattern } from '@soulbox/egress-policies';
import { z } from 'zod';

/** More than the rules of a policy have. */
const hostsMax = 50;

/** Host names and `*.domain`, each once, in the form in which they are compared. */
export const secretHosts = z
  .array(
    z.string().transform((text, context) => {
      const pattern = parseHostPattern(text);
      if (pattern !== undefined) return hostPatternText(pattern);
      context.issues.push({ code: 'custom', input: text, message: 'must be a host name or "*.domain"' });
      return z.NEVER;
    }),
  )
  .max(hostsMax)
  .transform((hosts) => [...new Set(hosts)])
  .describe(
    'Hosts to which rules may send the secret: names, or `*.domain` for all names below one. Empty: none are named, and it may go to the host of any rule, unless the server requires hosts.',
  );

/**
 * For the audit log: how many hosts a valid body names, and the SHA-256 of them, sorted, each on a line. So who knows the
 * hosts can check whether they were these.
 */
export function hostFacts(body: unknown): AuditFacts {
  const { hosts } = body as { readonly hosts: readonly string[] };
  const lines = hosts.toSorted().join('\n');
  return { count: hosts.length, digest: createHash('sha256').update(lines).digest('hex') };
}

/**
 * Whether a secret with these hosts may go to this host, which is in the form of `normalizeName`. `needsHosts`: without
 * hosts, it may go nowhere.
 */
export function coversSecret(hosts: readonly string[], name: string, needsHosts: boolean): boolean {
  if (hosts.length === 0) return !needsHosts;
  return hosts.some((text) => {
    const pattern = parseHostPattern(text);
    return pattern !== undefined && coversHost(pattern, name);
  });
}
