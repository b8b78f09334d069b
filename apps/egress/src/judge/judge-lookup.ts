import type { EgressReason } from '@soulbox/contract';
import { coversName } from '@soulbox/network/policy';
import type { PolicedSandbox } from '../policies/policed-sandbox.ts';

export type LookupVerdict =
  | {
      readonly kind: 'forward';
      readonly rule: string;
      /** Whether the name could carry data outward. */ readonly isFree: boolean;
    }
  /** NOERROR without records. */
  | { readonly kind: 'empty' }
  | { readonly kind: 'nxdomain' | 'refused'; readonly rule: string; readonly reason: EgressReason };

/** Types that are forwarded for every allowed name. */
const plainTypes: ReadonlySet<string> = new Set(['A', 'CNAME', 'MX', 'SRV', 'PTR', 'NS', 'SOA', 'CAA']);
/**
 * Answered with no records: sandboxes have IPv4 only, and records of HTTPS services carry keys for Encrypted Client
 * Hello, which would hide the name.
 */
const emptyTypes: ReadonlySet<string> = new Set(['AAAA', 'HTTPS', 'SVCB']);

/** Whether a name could carry data outward: this entry, the first that covers it, does not name it in full. */
const isFreeName = (rule: { readonly isWildcard: boolean } | undefined): boolean =>
  rule === undefined || rule.isWildcard;

/**
 * Whether the look-up of a host that a connection names could carry data outward, to the name servers of the host. It is
 * made for the sandbox, so it counts like one that the sandbox makes.
 */
export function isFreeHost({ targets }: PolicedSandbox, name: string): boolean {
  return isFreeName(targets.domains.find((domain) => coversName(domain, name)));
}

/**
 * Names of special use (RFC 6761, 6762, 7686, 8375, and `.internal`): they never lead to a public server. The operator's
 * name server could tell from them what exists in its private network.
 */
const privateName = /(?:^|\.)(?:localhost|local|internal|home\.arpa|onion|invalid)$/;

/** Judges a look-up. `name` is in the form of `normalizeName`. Types are named as in dns-packet. */
export function judgeLookup({ targets, isLearning }: PolicedSandbox, name: string, type: string): LookupVerdict {
  const rule = targets.domains.find((domain) => coversName(domain, name));
  const isOpen = isLearning || !targets.closed;
  if (rule === undefined && (!isOpen || privateName.test(name)))
    return { kind: 'nxdomain', rule: '', reason: 'not_allowed' };
  if (emptyTypes.has(type)) return { kind: 'empty' };
  const isFree = isFreeName(rule);
  if (plainTypes.has(type) || (type === 'TXT' && isOpen)) return { kind: 'forward', rule: rule?.text ?? '', isFree };
  return { kind: 'refused', rule: '', reason: 'query_type' };
}
