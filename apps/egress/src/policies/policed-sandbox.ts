import { Secret } from '@soulbox/base';
import type { SandboxPolicy } from '@soulbox/contract/egress';
import { compareHostPatterns, coversHost, parseHostPattern } from '@soulbox/egress-policies';
import type { HostPattern } from '@soulbox/egress-policies';
import { normalizeName, parseEgressPolicy } from '@soulbox/network/policy';
import type { ParsedPolicy } from '@soulbox/network/policy';

/** A sandbox with its policy, as the runner describes it. A changed policy is a new object. */
export interface PolicedSandbox {
  /** The address under which the host sees it. */
  readonly address: string;
  readonly sandboxId: string;
  readonly teamId: string;
  /** Names the run of its processes. */
  readonly generation: string;
  /** Bytes that count against its byte limit from the start. */
  readonly usedBytes: number;
  readonly targets: ParsedPolicy;
  /** Nothing is refused but forbidden addresses. */
  readonly isLearning: boolean;
  /** The first that covers a host applies: exact names before wildcards, longer wildcards before shorter ones. */
  readonly hostRules: readonly HostRule[];
  readonly proxy: EgressProxy | undefined;
  readonly limits: Limits;
  /** The workload identities that placeholders may name. */
  readonly identityTokens: Readonly<Record<string, { readonly audience: string; readonly tokenType: string }>>;
  /** Absent: nothing is intercepted. */
  readonly authority: Authority | undefined;
}

/** What happens to the HTTP requests for a host. */
export interface HostRule extends HostPattern {
  /** As its creator wrote it. */
  readonly text: string;
  /** Set in each request. Values may contain placeholders, `${e2b.secrets.NAME}`. */
  readonly headers: Readonly<Record<string, string>>;
  /** If there are any, other requests are refused. An empty list of methods or paths means all. */
  readonly requests: readonly { readonly methods: readonly string[]; readonly paths: readonly string[] }[];
}

/** A SOCKS5 proxy (RFC 1928) of the tenant. Its address is as hostile as any other: it is resolved and checked. */
export interface EgressProxy {
  readonly host: string;
  readonly port: number;
  /** Absent: no sign-in. */
  readonly credentials: { readonly username: string; readonly password: Secret } | undefined;
}

/** 0 means no limit. */
export interface Limits {
  readonly bytes: number;
  readonly connections: number;
  readonly connectionsPerSecond: number;
  readonly bytesPerSecond: number;
}

/** The certificate authority that only this sandbox trusts. Both in PEM. */
export interface Authority {
  readonly certificate: string;
  readonly privateKey: Secret;
}

/** The rule for requests to this host, which is in the form of `normalizeName`. */
export function findHostRule(sandbox: PolicedSandbox, host: string): HostRule | undefined {
  return sandbox.hostRules.find((rule) => coversHost(rule, host));
}

/** Throws bad_request for a policy that the runner should not have accepted. */
export function policedSandboxFromWire(wire: SandboxPolicy): PolicedSandbox {
  const { policy, authority } = wire;
  const limits = policy?.limits;
  return {
    address: wire.address,
    sandboxId: wire.sandboxId,
    teamId: wire.teamId,
    generation: wire.generation,
    usedBytes: Number(wire.usedBytes),
    targets: targetsFromWire(policy),
    isLearning: policy?.learn ?? false,
    hostRules: hostRulesFromWire(policy?.rules ?? {}),
    proxy: proxyFromWire(policy?.egressProxy),
    limits: {
      bytes: Number(limits?.bytes ?? 0),
      connections: limits?.connections ?? 0,
      connectionsPerSecond: limits?.connectionsPerSecond ?? 0,
      bytesPerSecond: Number(limits?.bytesPerSecond ?? 0),
    },
    identityTokens: policy?.identityTokens ?? {},
    authority:
      authority === undefined
        ? undefined
        : { certificate: authority.certificate, privateKey: new Secret(authority.privateKey) },
  };
}

type WirePolicy = NonNullable<SandboxPolicy['policy']>;

function targetsFromWire(policy: WirePolicy | undefined): ParsedPolicy {
  if (policy === undefined) return parseEgressPolicy({ allowInternetAccess: false });
  const { limits, ...targets } = policy;
  return parseEgressPolicy(limits === undefined ? targets : { ...targets, limits });
}

function hostRulesFromWire(rules: WirePolicy['rules']): HostRule[] {
  const known = Object.entries(rules).flatMap(([text, { headers, requests }]): HostRule[] => {
    const pattern = parseHostPattern(text);
    return pattern === undefined ? [] : [{ ...pattern, text, headers, requests }];
  });
  return known.sort(compareHostPatterns);
}

function proxyFromWire(proxy: WirePolicy['egressProxy']): EgressProxy | undefined {
  if (proxy === undefined) return undefined;
  const colon = proxy.address.lastIndexOf(':');
  const { username, password } = proxy;
  const host = proxy.address.slice(0, colon).replace(/^\[|\]$/g, '');
  return {
    // Look-ups compare names in this form.
    host: normalizeName(host) ?? host,
    port: Number(proxy.address.slice(colon + 1)),
    credentials: username === '' ? undefined : { username, password: new Secret(password) },
  };
}
