import { isIP } from 'node:net';
import { SoulBoxError } from '@soulbox/base';
import type { Cidr } from './cidr.ts';
import { findCidr, overlaps } from './cidr.ts';

/** Maximum entries in one list. Longer lists would make policy changes slow for everybody. */
const maxEntries = 1000;

/** The targets that a sandbox may reach: those fields of NetworkPolicy in spec/runner that concern packets. */
export interface EgressPolicy {
  /** False closes everything except `allowOut`, including name servers. Absent means true. */
  readonly allowInternetAccess?: boolean | undefined;
  /**
   * IPv4 addresses or CIDR networks. It overrides `denyOut`, but never opens targets that are forbidden to every
   * sandbox (private ranges, the host).
   */
  readonly allowOut?: readonly string[];
  readonly denyOut?: readonly string[];
}

/** A parsed policy. Ranges within a list do not overlap. */
export interface ParsedPolicy {
  /** True: everything that is not in `allowed` is refused. */
  readonly closed: boolean;
  readonly allowed: readonly Cidr[];
  readonly denied: readonly Cidr[];
}

/**
 * Parses a policy. Throws bad_request naming an entry that is not an IPv4 address or range, not_implemented for a
 * domain name in `allowOut`, and limit_exceeded for more than 1000 entries.
 */
export function parseEgressPolicy(policy: EgressPolicy): ParsedPolicy {
  const allowed = parseList('allowOut', policy.allowOut ?? []);
  const denied = parseList('denyOut', policy.denyOut ?? []);
  const everything = denied.some((range) => range.prefix === 0);
  return {
    closed: (policy.allowInternetAccess === false || everything) && !allowed.some((range) => range.prefix === 0),
    allowed,
    denied,
  };
}

/** Whether the policy has no effect, so that no rule is needed. */
export function isOpen(policy: ParsedPolicy): boolean {
  return !policy.closed && (policy.denied.length === 0 || policy.allowed.some((range) => range.prefix === 0));
}

function parseList(field: string, entries: readonly string[]): Cidr[] {
  if (entries.length > maxEntries)
    throw new SoulBoxError(
      'limit_exceeded',
      `${field} has ${entries.length} entries; at most ${maxEntries} are allowed.`,
    );
  // Wide ranges come first, so that each kept range absorbs the later ones inside it.
  const ranges = entries.map((entry) => parseEntry(field, entry)).sort((a, b) => a.prefix - b.prefix);
  const kept: Cidr[] = [];
  for (const range of ranges) if (!kept.some((wider) => overlaps(wider, range))) kept.push(range);
  return kept;
}

function parseEntry(field: string, entry: string): Cidr {
  const range = findCidr(entry);
  if (range !== undefined) return range;
  const shown = JSON.stringify(entry.slice(0, 100));
  if (field === 'allowOut' && isIP(entry) === 0 && /^(?:\*\.)?(?:[a-z0-9_-]+\.)+[a-z][a-z0-9-]*$/i.test(entry))
    throw new SoulBoxError(
      'not_implemented',
      `${field} names the domain ${shown}, but this version of SoulBox filters by IPv4 address and CIDR only.`,
    );
  throw new SoulBoxError(
    'bad_request',
    `${field} contains ${shown}, which is neither an IPv4 address nor an IPv4 CIDR.`,
  );
}
