import type { AddressPlan } from './address-plan.ts';
import { egressPorts, firstSlot, inner, lastSlot } from './address-plan.ts';
import type { Cidr } from './cidr.ts';
import { textFromCidr } from './cidr.ts';
import { isOpen, portsOf, rangesOf } from './policy.ts';
import type { AddressRule, ParsedPolicy } from './policy.ts';
import { limitSets, withinLimit } from './shared-limits.ts';

/** Bytes of a refused packet that are told: an IP header with options, and the ports behind it. */
export const toldBytes = 64;

export interface RulesetOptions {
  readonly plan: AddressPlan;
  /** Ranges that no sandbox reaches, whatever its policy. The input hook handles the host's own addresses. */
  readonly denied: readonly Cidr[];
  /** Name servers in denied ranges that are opened for port 53 only. */
  readonly resolvers: readonly string[];
  /** Maximum connections of one sandbox that the host tracks at a time. */
  readonly maxFlows: number;
  /** The user of the egress process. It reaches only what sandboxes reach. Absent: there is no such process. */
  readonly egressUserId?: number | undefined;
  /** Where refused packets are told, for the log of connections. Absent: connections are not logged. */
  readonly logGroup?: number | undefined;
}

/** The sets that count, by address, the connections and refused packets that were too many for the log. */
export const unloggedSets = { allowed: 'unlogged', refused: 'unlogged_refusals' } as const;
/** How refused packets are told: also those that were redirected to the egress process. */
export const refusalPrefix = { refused: 'refused', redirected: 'redirected' } as const;
/**
 * The complete table of the instance, as one repeatable transaction. Maps of policies and their chains stay; everything
 * else is rewritten. docs/decisions/005-network.md shows the path of a packet.
 */
export function rulesetText(options: RulesetOptions): string {
  const { plan } = options;
  const ours = `"${plan.interfacePrefix}*"`;
  const range = textFromCidr(plan.base);
  const resolvers = options.resolvers.flatMap((address) => [`${address} . tcp . 53`, `${address} . udp . 53`]);
  const fixedChains =
    'translate_in redirect_in input limit_lookups limit_connections output from_egress forward from_sandbox permitted to_sandbox log_flow refuse log_refusal tell_refusal masquerade_out translate_out';
  const share = `ct state new add @flows { ip saddr ct count over ${options.maxFlows} } goto refuse`;
  const { logGroup } = options;
  const isLogged = logGroup !== undefined;
  // The egress process answers what exceeds its own, lower limits. A flood ends here, before it costs that process time.
  return `
table inet ${plan.table} {
  map addresses { type ifname : ipv4_addr; }
  map policies { type ipv4_addr : verdict; }
  map redirects { type ipv4_addr : verdict; }
  set denied { type ipv4_addr; flags interval; auto-merge; }
  set resolvers { type ipv4_addr . inet_proto . inet_service; }
  ${limitSets()}
  set flows { type ipv4_addr; size 65535; flags dynamic; }
  set ${unloggedSets.allowed} { type ipv4_addr; size 65535; flags dynamic; }
  set ${unloggedSets.refused} { type ipv4_addr; size 65535; flags dynamic; }
  chain translate_in { type filter hook prerouting priority raw; policy accept; }
  chain redirect_in { type nat hook prerouting priority dstnat; policy accept; }
  chain input { type filter hook input priority filter; policy accept; }
  chain limit_lookups { }
  chain limit_connections { }
  chain output { type filter hook output priority filter; policy accept; }
  chain forward { type filter hook forward priority filter; policy accept; }
  chain from_egress { }
  chain from_sandbox { }
  chain permitted { }
  chain to_sandbox { }
  chain log_flow { }
  chain refuse { }
  chain log_refusal { }
  chain tell_refusal { }
  chain masquerade_out { type nat hook postrouting priority srcnat; policy accept; }
  chain translate_out { type filter hook postrouting priority srcnat + 10; policy accept; }
}
${fixedChains
  .split(' ')
  .map((chain) => `flush chain inet ${plan.table} ${chain}`)
  .join('\n')}
flush map inet ${plan.table} addresses
flush set inet ${plan.table} denied
flush set inet ${plan.table} resolvers
table inet ${plan.table} {
  map addresses { type ifname : ipv4_addr; elements = { ${addressElements(plan)} }; }
  set denied { type ipv4_addr; flags interval; auto-merge; elements = { ${options.denied.map(textFromCidr).join(', ')} }; }
  ${resolvers.length === 0 ? '' : `set resolvers { type ipv4_addr . inet_proto . inet_service; elements = { ${resolvers.join(', ')} }; }`}
  chain translate_in {
    iifname != ${ours} return
    meta nfproto != ipv4 drop
    ip saddr != ${inner.address} drop
    ip saddr set iifname map @addresses
  }
  chain redirect_in {
    iifname != ${ours} return
    ip saddr vmap @redirects
  }
  chain input {
    iifname != ${ours} ip daddr ${plan.egressAddress} drop
    iifname != ${ours} return
    ct status & dnat == 0 goto refuse
    ip daddr != ${plan.egressAddress} goto refuse
    udp dport ${egressPorts.dns} jump limit_lookups
    meta l4proto tcp ct state new jump limit_connections
    ${share}
    ${isLogged ? 'ct state new ct event set 0x0' : ''}
    accept
  }
  chain limit_lookups {
    ${withinLimit('lookups', 'return')}
    drop
  }
  chain limit_connections {
    ${withinLimit('connections', 'return')}
    goto refuse
  }
  chain output {
    oifname ${ours} ct state != { established, related } drop
    ${options.egressUserId === undefined ? '' : `meta skuid ${options.egressUserId} oifname != ${ours} goto from_egress`}
  }
  chain from_egress {
    meta nfproto != ipv4 reject
    ip daddr . meta l4proto . th dport @resolvers accept
    fib daddr type != unicast reject
    ip daddr @denied reject
  }
  chain forward {
    iifname ${ours} jump from_sandbox
    oifname ${ours} jump to_sandbox
  }
  chain from_sandbox {
    meta nfproto != ipv4 drop
    ct state invalid,untracked drop
    ct direction reply drop
    oifname ${ours} goto refuse
    ip daddr . meta l4proto . th dport @resolvers goto permitted
    ip daddr @denied goto refuse
    goto permitted
  }
  chain permitted {
    ct original ip saddr vmap @policies
    ${share}
    ${isLogged ? 'ct state new ct status & confirmed == 0 jump log_flow' : ''}
    tcp flags syn tcp option maxseg size set rt mtu
    accept
  }
  chain to_sandbox {
    meta nfproto != ipv4 drop
    ct state != { established, related } drop
    ct direction original drop
    ct original ip saddr vmap @policies
    tcp flags syn tcp option maxseg size set rt mtu
  }
  ${isLogged ? logRules(logGroup) : ''}
  chain refuse {
    ${isLogged ? `iifname ${ours} ct state != { established, related } jump log_refusal` : ''}
    iifname ${ours} meta l4proto tcp reject with tcp reset
    drop
  }
  chain masquerade_out { ip saddr ${range} oifname != ${ours} masquerade; }
  chain translate_out { oifname ${ours} ip daddr ${range} ip daddr set ${inner.address}; }
}
`;
}

/**
 * What is told to the log of connections. What exceeds the limits is counted. Only the first packet of a connection comes
 * here: the others are of a confirmed one, even if nobody answers.
 */
function logRules(group: number): string {
  return `chain log_flow {
    ct event set 0x0
    ${withinLimit('logged', 'ct event set destroy,protoinfo return')}
    add @${unloggedSets.allowed} { ip saddr counter }
  }
  chain log_refusal {
    ${withinLimit('refusals', 'goto tell_refusal')}
    add @${unloggedSets.refused} { ip saddr counter }
  }
  chain tell_refusal {
    ct status & dnat != 0 ${tell(group, refusalPrefix.redirected)} return
    ${tell(group, refusalPrefix.refused)}
  }`;
}

/** A statement that sends the start of a packet to the log of connections. */
export function tell(group: number, prefix: string): string {
  return `log prefix "${prefix}" group ${group} snaplen ${toldBytes}`;
}

function addressElements(plan: AddressPlan): string {
  const elements: string[] = [];
  for (let slot = firstSlot; slot <= lastSlot; slot += 1)
    elements.push(`"${plan.interfaceOf(slot)}" : ${plan.addressOf(slot)}`);
  return elements.join(', ');
}

/**
 * The transaction that sets `policy` for the slot. Without an egress process nothing is redirected, and all that such a
 * process would have to judge is refused. Flows that it forbids end with their next packet in either
 * direction.
 */
export function policyText(plan: AddressPlan, slot: number, policy: ParsedPolicy, hasEgress = true): string {
  if (isOpen(policy)) return clearPolicyText(plan, slot);
  const { table, judge, redirect } = policyNames(plan, slot);
  const chainOf = ({ chain }: Chain, rules: readonly string[]): string[] => [
    `add chain ${table} ${chain}`,
    `flush chain ${table} ${chain}`,
    ...rules.map((rule) => `add rule ${table} ${chain} ${rule}`),
  ];
  return [
    ...chainOf(judge, judgeRules(policy)),
    ...chainOf(redirect, hasEgress ? redirectRules(plan, policy) : []),
    `add element ${table} policies { ${judge.element} }`,
    `add element ${table} redirects { ${redirect.element} }`,
    '',
  ].join('\n');
}

/** Judges the packets that are not redirected. */
function judgeRules(policy: ParsedPolicy): string[] {
  // Matches the destination that the sandbox chose, so that one chain judges both directions of a flow.
  const covered = (rules: readonly AddressRule[], verdict: string): string[] =>
    matchesOf(rules, 'ct original ip daddr', 'ct original proto-dst').map((match) => `${match} ${verdict}`);
  const rules: string[] = [];
  // All TCP is redirected. What is not belongs to an earlier policy, or goes to a range that is denied to everybody.
  if (policy.isInspected) rules.push('meta l4proto tcp goto refuse');
  if (policy.datagrams === 'none') rules.push('goto refuse');
  if (policy.datagrams === 'not-web') rules.push('meta l4proto udp ct original proto-dst { 80, 443 } goto refuse');
  rules.push(...covered(policy.allowed, 'return'));
  if (policy.closed) rules.push('goto refuse');
  else rules.push(...covered(policy.denied, 'goto refuse'));
  return rules;
}

/** Redirects look-ups, and for an inspected policy all TCP, to the egress process. */
function redirectRules(plan: AddressPlan, policy: ParsedPolicy): string[] {
  const to = (port: number): string => `dnat ip to ${plan.egressAddress}:${port}`;
  const lookups = ['udp', 'tcp'].map((protocol) => `${protocol} dport 53 ${to(egressPorts.dns)}`);
  if (policy.isInspected) return [...lookups, `meta l4proto tcp ip daddr != @denied ${to(egressPorts.tcp)}`];
  // Who allows a name server by its address means that one.
  const direct = matchesOf(
    policy.allowed.filter(({ range }) => range.prefix > 0),
    'ip daddr',
    'th dport',
  );
  return [...direct.map((match) => `${match} return`), ...lookups];
}

/** Matches of nft that together cover the rules. */
export function matchesOf(rules: readonly AddressRule[], address: string, port: string): string[] {
  const all = rangesOf(rules);
  const matches = portsOf(rules).map(
    (ports) =>
      `meta l4proto { tcp, udp } ${port} ${ports.from}-${ports.to} ${address} ${anonymousSet(rangesOf(rules, ports))}`,
  );
  return all.length === 0 ? matches : [`${address} ${anonymousSet(all)}`, ...matches];
}

/** The transaction that removes the slot's policy. It can be repeated safely (`destroy` is too new for Debian 12). */
export function clearPolicyText(plan: AddressPlan, slot: number): string {
  const { table, judge, redirect } = policyNames(plan, slot);
  const cleared = ({ chain, element }: Chain, map: string): string[] => [
    `add chain ${table} ${chain}`,
    `add element ${table} ${map} { ${element} }`,
    `delete element ${table} ${map} { ${element} }`,
    `flush chain ${table} ${chain}`,
    `delete chain ${table} ${chain}`,
  ];
  return [...cleared(redirect, 'redirects'), ...cleared(judge, 'policies'), ''].join('\n');
}

interface Chain {
  readonly chain: string;
  readonly element: string;
}

function policyNames(plan: AddressPlan, slot: number): { table: string; judge: Chain; redirect: Chain } {
  const named = (chain: string): Chain => ({ chain, element: `${plan.addressOf(slot)} : jump ${chain}` });
  return { table: `inet ${plan.table}`, judge: named(`policy_${slot}`), redirect: named(`redirect_${slot}`) };
}

function anonymousSet(ranges: readonly Cidr[]): string {
  return `{ ${ranges.map(textFromCidr).join(', ')} }`;
}
