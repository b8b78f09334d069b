import { isIP } from 'node:net';
import { SoulBoxError } from '@soulbox/base';
import type { Cidr } from './cidr.ts';
import { findCidr, overlaps } from './cidr.ts';

/** Entries of one list; more would make a policy change slow for everybody. */
const maxEntries = 1000;

/** What a sandbox may reach; the fields of NetworkPolicy in spec/runner that concern packets. */
export interface EgressPolicy {
  /** False closes everything, name servers included, but `allowOut`. Absent means true. */
  readonly allowInternetAccess?: boolean | undefined;
  /** IPv4 addresses or CIDR. Beats `denyOut`, but never opens what no sandbox may reach (private ranges, the host). */
  readonly allowOut?: readonly string[];
  readonly denyOut?: readonly string[];
}

/** A policy that was understood: ranges within a list do not overlap. */
export interface ParsedPolicy {
  /** True: what is not in `allowed` is refused. */
  readonly closed: boolean;
  readonly allowed: readonly Cidr[];
  readonly denied: readonly Cidr[];
}

/**
 * Reads a policy. Throws bad_request naming the entry that is no IPv4 address or range, not_implemented for a domain
 * name in `allowOut`, limit_exceeded above 1000 entries.
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

/** True when the policy changes nothing, so that no rule is needed. */
export function isOpen(policy: ParsedPolicy): boolean {
  return !policy.closed && (policy.denied.length === 0 || policy.allowed.some((range) => range.prefix === 0));
}

function parseList(field: string, entries: readonly string[]): Cidr[] {
  if (entries.length > maxEntries)
    throw new SoulBoxError(
      'limit_exceeded',
      `${field} has ${entries.length} entries; at most ${maxEntries} are allowed.`,
    );
  // Wide ranges first, so that each one kept swallows the later ones inside it.
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
