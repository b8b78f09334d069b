import type { Cidr } from '../cidr.ts';
import { numberFromAddress, overlaps } from '../cidr.ts';
import { coversAddress } from '../policy.ts';
import type { ParsedPolicy } from '../policy.ts';

/** A destination that a sandbox wanted. */
export interface Wanted {
  readonly protocol: number;
  readonly address: string;
  readonly port: number;
}

export interface Judgement {
  /** The entry of the policy that decided. Empty: the default. */
  readonly rule: string;
  readonly reason: 'forbidden_address' | 'denied' | 'not_allowed' | 'connection_limit';
}

const udp = 17;

/** The entry of the policy that allows the destination. Empty: the default does. */
export function ruleFor(policy: ParsedPolicy, { address, port }: Wanted): string {
  return policy.allowed.find((rule) => coversAddress(rule, numberFromAddress(address), port))?.text ?? '';
}

/** Why the packet filter has refused the destination. It has the same rules in another form (ruleset.ts). */
export function whyRefused(policy: ParsedPolicy, denied: readonly Cidr[], wanted: Wanted): Judgement {
  const { protocol, port } = wanted;
  const address = numberFromAddress(wanted.address);
  if (denied.some((range) => overlaps(range, { address, prefix: 32 })))
    return { rule: '', reason: 'forbidden_address' };
  const isWebDatagram = policy.datagrams === 'not-web' && protocol === udp && (port === 80 || port === 443);
  if (policy.datagrams === 'none' || isWebDatagram) return { rule: '', reason: 'not_allowed' };
  if (policy.allowed.some((rule) => coversAddress(rule, address, port)))
    return { rule: '', reason: 'connection_limit' };
  const rule = policy.denied.find((entry) => coversAddress(entry, address, port));
  if (rule !== undefined) return { rule: rule.text, reason: 'denied' };
  return { rule: '', reason: policy.closed ? 'not_allowed' : 'connection_limit' };
}
