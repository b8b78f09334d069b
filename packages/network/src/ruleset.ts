import type { AddressPlan } from './address-plan.ts';
import { firstSlot, inner, lastSlot } from './address-plan.ts';
import type { Cidr } from './cidr.ts';
import { textFromCidr } from './cidr.ts';
import { isOpen } from './policy.ts';
import type { ParsedPolicy } from './policy.ts';

export interface RulesetOptions {
  readonly plan: AddressPlan;
  /** Ranges that no sandbox reaches, whatever its policy. The input hook handles the host's own addresses. */
  readonly denied: readonly Cidr[];
  /** Name servers in denied ranges that are opened for port 53 only. */
  readonly resolvers: readonly string[];
  /** Maximum connections of one sandbox that the host tracks at a time. */
  readonly maxFlows: number;
}

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
    'translate_in input output forward from_sandbox permitted to_sandbox refuse masquerade_out translate_out';
  return `
table inet ${plan.table} {
  map addresses { type ifname : ipv4_addr; }
  map policies { type ipv4_addr : verdict; }
  set denied { type ipv4_addr; flags interval; auto-merge; }
  set resolvers { type ipv4_addr . inet_proto . inet_service; }
  set flows { type ipv4_addr; size 65535; flags dynamic; }
  chain translate_in { type filter hook prerouting priority raw; policy accept; }
  chain input { type filter hook input priority filter; policy accept; }
  chain output { type filter hook output priority filter; policy accept; }
  chain forward { type filter hook forward priority filter; policy accept; }
  chain from_sandbox { }
  chain permitted { }
  chain to_sandbox { }
  chain refuse { }
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
  chain input { iifname ${ours} goto refuse; }
  chain output { oifname ${ours} ct state != { established, related } drop; }
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
    ct state new add @flows { ip saddr ct count over ${options.maxFlows} } goto refuse
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
  chain refuse {
    iifname ${ours} meta l4proto tcp reject with tcp reset
    drop
  }
  chain masquerade_out { ip saddr ${range} oifname != ${ours} masquerade; }
  chain translate_out { oifname ${ours} ip daddr ${range} ip daddr set ${inner.address}; }
}
`;
}

function addressElements(plan: AddressPlan): string {
  const elements: string[] = [];
  for (let slot = firstSlot; slot <= lastSlot; slot += 1)
    elements.push(`"${plan.interfaceOf(slot)}" : ${plan.addressOf(slot)}`);
  return elements.join(', ');
}

/**
 * The transaction that sets `policy` for the slot. Flows that it forbids end with their next packet in either
 * direction.
 */
export function policyText(plan: AddressPlan, slot: number, policy: ParsedPolicy): string {
  if (isOpen(policy)) return clearPolicyText(plan, slot);
  const { table, chain, element } = policyNames(plan, slot);
  // Matches the destination that the sandbox chose, so that one chain judges both directions of a flow.
  const destination = 'ct original ip daddr';
  const rules: string[] = [];
  if (policy.allowed.length > 0) rules.push(`${destination} ${anonymousSet(policy.allowed)} return`);
  if (policy.closed) rules.push('goto refuse');
  else rules.push(`${destination} ${anonymousSet(policy.denied)} goto refuse`);
  return [
    `add chain ${table} ${chain}`,
    `flush chain ${table} ${chain}`,
    ...rules.map((rule) => `add rule ${table} ${chain} ${rule}`),
    `add element ${table} policies { ${element} }`,
    '',
  ].join('\n');
}

/** The transaction that removes the slot's policy. It can be repeated safely (`destroy` is too new for Debian 12). */
export function clearPolicyText(plan: AddressPlan, slot: number): string {
  const { table, chain, element } = policyNames(plan, slot);
  return [
    `add chain ${table} ${chain}`,
    `add element ${table} policies { ${element} }`,
    `delete element ${table} policies { ${element} }`,
    `flush chain ${table} ${chain}`,
    `delete chain ${table} ${chain}`,
    '',
  ].join('\n');
}

function policyNames(plan: AddressPlan, slot: number): { table: string; chain: string; element: string } {
  const chain = `policy_${slot}`;
  return { table: `inet ${plan.table}`, chain, element: `${plan.addressOf(slot)} : jump ${chain}` };
}

function anonymousSet(ranges: readonly Cidr[]): string {
  return `{ ${ranges.map(textFromCidr).join(', ')} }`;
}
