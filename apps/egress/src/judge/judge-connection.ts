import type { EgressReason } from '@soulbox/contract';
import { coversAddress, coversName, coversPort } from '@soulbox/network/policy';
import type { AddressRule } from '@soulbox/network/policy';
import type { FirstBytes } from '../first-bytes/first-bytes.ts';
import { findHostRule } from '../policies/policed-sandbox.ts';
import type { PolicedSandbox } from '../policies/policed-sandbox.ts';
import type { Verdict } from './verdict.ts';

/** What is known about a connection when it is judged. */
export interface Attempt {
  /** The IPv4 address that the sandbox wanted, as a 32-bit number. */
  readonly address: number;
  readonly port: number;
  /** Undefined: the decision did not need them. */
  readonly first: FirstBytes | undefined;
}

/** What happens with a connection. */
export type Route =
  | { readonly kind: 'refuse'; readonly rule: string; readonly reason: EgressReason }
  /** To the address that the sandbox wanted. */
  | { readonly kind: 'to-address'; readonly rule: string }
  /** To an address of the name, whatever address the sandbox wanted. Plain HTTP stays with this host. */
  | { readonly kind: 'to-name'; readonly rule: string; readonly name: string; readonly isHttp: boolean }
  /** To the name, and each request is changed or judged. */
  | { readonly kind: 'intercept'; readonly rule: string; readonly name: string; readonly scheme: 'http' | 'https' };

/** The ports on which header rules apply, beside those of names. */
const isWebPort = (port: number): boolean => port === 80 || port === 443;

/** Whether the route depends on the first bytes, so that the connection must wait for them. */
export function needsFirstBytes(sandbox: PolicedSandbox, address: number, port: number): boolean {
  const { targets, hostRules } = sandbox;
  if (hostRules.length > 0 && (isWebPort(port) || targets.domains.some((rule) => coversPort(rule, port)))) return true;
  if (judgeAddress(sandbox, address, port).isAllowed) return false;
  return targets.domains.some((rule) => coversPort(rule, port));
}

/** Judges a connection. Pure: the same policy and attempt give the same route, so that open connections can be judged again. */
export function judgeConnection(sandbox: PolicedSandbox, { address, port, first }: Attempt): Route {
  const byAddress = judgeAddress(sandbox, address, port);
  if (first === undefined) return routeOf(byAddress);
  const name = first.protocol === 'other' ? undefined : first.name;
  if (name === undefined) {
    // It could be meant for a host with rules, and hide that: TLS without SNI names its host inside, and plain HTTP to an
    // address may name one in its next request.
    const hides = sandbox.hostRules.some(({ requests }) => requests.length > 0);
    const couldBeNamed = sandbox.targets.domains.some((rule) => coversPort(rule, port));
    if (byAddress.isAllowed ? hides : couldBeNamed) return { kind: 'refuse', rule: '', reason: 'no_name' };
    return routeOf(byAddress);
  }
  const byName = judgeName(sandbox, name, port);
  const verdict = byName ?? byAddress;
  if (!verdict.isAllowed) return { kind: 'refuse', rule: verdict.rule, reason: verdict.reason };
  const { rule } = verdict;
  const isHttp = first.protocol === 'http';
  if (findHostRule(sandbox, name) !== undefined) {
    // Without an authority nothing could change or judge the requests.
    if (!isHttp && sandbox.authority === undefined) return { kind: 'refuse', rule, reason: 'request_not_allowed' };
    return { kind: 'intercept', rule, name, scheme: isHttp ? 'http' : 'https' };
  }
  // With header rules, a later request of the connection could name another host.
  if (byName !== undefined || (isHttp && sandbox.hostRules.length > 0)) return { kind: 'to-name', rule, name, isHttp };
  return { kind: 'to-address', rule };
}

/** Judges an address alone. Entries that allow come before entries that deny. */
export function judgeAddress({ targets, isLearning }: PolicedSandbox, address: number, port: number): Verdict {
  const covering = (rules: readonly AddressRule[]): AddressRule | undefined =>
    rules.find((rule) => coversAddress(rule, address, port));
  const allowed = covering(targets.allowed);
  if (allowed !== undefined) return { isAllowed: true, rule: allowed.text };
  const denied = covering(targets.denied);
  if (isLearning) return { isAllowed: true, rule: '' };
  if (denied !== undefined) return { isAllowed: false, rule: denied.text, reason: 'denied' };
  return targets.closed ? { isAllowed: false, rule: '', reason: 'not_allowed' } : { isAllowed: true, rule: '' };
}

/** Judges a host name alone. Undefined: no entry names it, so its address decides. */
export function judgeName({ targets }: PolicedSandbox, name: string, port: number): Verdict | undefined {
  const rule = targets.domains.find((domain) => coversPort(domain, port) && coversName(domain, name));
  return rule === undefined ? undefined : { isAllowed: true, rule: rule.text };
}

function routeOf(verdict: Verdict): Route {
  return verdict.isAllowed
    ? { kind: 'to-address', rule: verdict.rule }
    : { kind: 'refuse', rule: verdict.rule, reason: verdict.reason };
}

/** Whether an open connection may go on: it would take the same route. */
export function isSameRoute(one: Route, other: Route): boolean {
  if (one.kind !== other.kind) return false;
  if (one.kind === 'refuse' || one.kind === 'to-address') return true;
  return other.kind !== 'refuse' && other.kind !== 'to-address' && one.name === other.name;
}
