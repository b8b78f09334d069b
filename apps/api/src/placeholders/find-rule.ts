import type { HostRule } from '@soulbox/contract/runner';
import { compareHostPatterns, coversHost, parseHostPattern } from '@soulbox/egress-policies';

export interface FoundRule {
  /** As its creator wrote it. */
  readonly host: string;
  readonly headers: HostRule['headers'];
}

/** The rule that applies to a host, which is in the form of `normalizeName`: the same as in the egress process. */
export function findRule(rules: Readonly<Record<string, HostRule>>, name: string): FoundRule | undefined {
  const known = Object.entries(rules).flatMap(([host, { headers }]) => {
    const pattern = parseHostPattern(host);
    return pattern === undefined || !coversHost(pattern, name) ? [] : [{ ...pattern, host, headers }];
  });
  return known.sort(compareHostPatterns)[0];
}
