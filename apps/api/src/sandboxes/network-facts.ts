import { createHash } from 'node:crypto';
import type { AuditFacts } from '@soulbox/audit';
import { hostPatternText, parseHostPattern, parseTemplate, ruleLimits } from '@soulbox/egress-policies';
import type { NetworkUpdate } from './network-schema.ts';

/** Stands in the canonical policy for text that may be a credential. */
const hidden = '***';

/**
 * What a policy says, for the audit log: without values of headers and credentials of the proxy. docs/audit.md describes
 * the canonical form of which `digest` is the SHA-256.
 */
export function networkFacts(network: NetworkUpdate): AuditFacts {
  const { allowOut = [], denyOut = [], rules = {}, limits, learn = false, egressProxy } = network;
  // It will be refused. A body of 1 MiB can have so many that the other facts take a second.
  if (Object.keys(rules).length > ruleLimits.hosts) return { rules: Object.keys(rules).length };
  const headers = Object.values(rules).flatMap(([rule]) => Object.values(rule?.transform?.headers ?? {}));
  const hosts = Object.keys(rules).map(hostOf).sort();
  return {
    digest: createHash('sha256').update(canonicalPolicy(network)).digest('hex'),
    ...{ allowOut: new Set(allowOut).size, denyOut: new Set(denyOut).size, rules: hosts.length },
    ...(hosts.length === 0 ? {} : { ruleHosts: hosts.join(',') }),
    placeholders: new Set(headers.flatMap((value) => placeholdersOf(value))).size,
    internet: network.allow_internet_access ?? true,
    ...{ learn, limits: limits !== undefined, proxy: egressProxy !== null && egressProxy !== undefined },
  };
}

/** JSON without spaces, the members of each object sorted, lists of targets sorted and each target once. */
export function canonicalPolicy(network: NetworkUpdate): string {
  const { allowOut = [], denyOut = [], rules = {}, limits = {}, learn = false, egressProxy } = network;
  const policy = {
    allow_internet_access: network.allow_internet_access ?? true,
    ...{ allowOut: [...new Set(allowOut)].sort(), denyOut: [...new Set(denyOut)].sort(), limits, learn },
    egressProxy: egressProxy?.address ?? null,
    rules: Object.fromEntries(
      Object.entries(rules).map(([host, [rule]]) => [
        hostOf(host),
        {
          headers: Object.fromEntries(
            Object.entries(rule?.transform?.headers ?? {}).map(([name, value]) => [name.toLowerCase(), shown(value)]),
          ),
          requests: rule?.requests ?? [],
        },
      ]),
    ),
  };
  return JSON.stringify(policy, (_name, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([one], [other]) => (one < other ? -1 : 1)))
      : part,
  );
}

/** The policy is checked only after its record was begun. */
function hostOf(text: string): string {
  const pattern = parseHostPattern(text);
  return pattern === undefined ? text : hostPatternText(pattern);
}

const shown = (value: string): string =>
  parseTemplate(value)
    .map((part) => (part.kind === 'text' ? hidden : `\${${part.name}}`))
    .join('');

const placeholdersOf = (value: string): string[] =>
  parseTemplate(value).flatMap((part) => (part.kind === 'text' ? [] : [part.name]));
