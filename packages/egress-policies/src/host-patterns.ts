import { normalizeName } from '@soulbox/network/policy';

/** A host name, or all names below one. */
export interface HostPattern {
  /** In the form of `normalizeName`, without `*.`. */
  readonly name: string;
  /** It means all names below `name`, and not `name` itself. */
  readonly isWildcard: boolean;
}

/** Parses `api.example.com` or `*.example.com`. Undefined for anything else. */
export function parseHostPattern(text: string): HostPattern | undefined {
  const isWildcard = text.startsWith('*.');
  const name = normalizeName(isWildcard ? text.slice(2) : text);
  return name === undefined ? undefined : { name, isWildcard };
}

/** The same pattern always has the same text. */
export const hostPatternText = ({ name, isWildcard }: HostPattern): string => (isWildcard ? `*.${name}` : name);

/** Whether the pattern covers this host, which is in the form of `normalizeName`. */
export function coversHost({ name, isWildcard }: HostPattern, host: string): boolean {
  return isWildcard ? host.endsWith(`.${name}`) : host === name;
}

/** Sorts what applies first to the front: exact names before wildcards, longer wildcards before shorter ones. */
export function compareHostPatterns(a: HostPattern, b: HostPattern): number {
  return Number(a.isWildcard) - Number(b.isWildcard) || b.name.length - a.name.length;
}
