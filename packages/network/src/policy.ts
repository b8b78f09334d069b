import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';
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
   * Entries `TARGET` or `TARGET:PORTS`, where TARGET is an IPv4 address, a CIDR network, a host name, or `*.domain`, and
   * PORTS is `443` or `8000-8999`. A name without ports opens 80 and 443. The list overrides `denyOut`, but never opens
   * targets that are forbidden to every sandbox (private ranges, the host). Names need a policy that is closed otherwise.
   */
  readonly allowOut?: readonly string[];
  /** Addresses and networks, with or without ports. */
  readonly denyOut?: readonly string[];
  /** Whether requests for some hosts are changed or judged, by host. */
  readonly rules?: Readonly<Record<string, unknown>> | undefined;
  /** Whether connections leave through a SOCKS5 proxy. */
  readonly egressProxy?: object | undefined;
  readonly limits?:
    | {
        readonly bytes: number | bigint;
        readonly connections: number;
        readonly connectionsPerSecond: number;
        readonly bytesPerSecond: number | bigint;
      }
    | undefined;
  readonly learn?: boolean | undefined;
}

/** Both ends are included. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

export interface AddressRule {
  readonly range: Cidr;
  /** Absent: all. */
  readonly ports?: PortRange;
  /** The entry as its creator wrote it. */
  readonly text: string;
}

export interface DomainRule {
  /** In lower case and ASCII, without a final dot and without `*.`. */
  readonly name: string;
  /** It means all names below `name`, and not `name` itself. */
  readonly isWildcard: boolean;
  /** Absent: 80 and 443. */
  readonly ports?: PortRange;
  readonly text: string;
}

/** A parsed policy. */
export interface ParsedPolicy {
  /** True: everything that is not allowed is refused. */
  readonly closed: boolean;
  readonly allowed: readonly AddressRule[];
  readonly denied: readonly AddressRule[];
  readonly domains: readonly DomainRule[];
  /** Whether all TCP connections go through the egress process. Otherwise the kernel's filter judges them alone. */
  readonly isInspected: boolean;
  /**
   * `addresses`: like TCP, by address. `not-web`: not to ports 80 and 443, because HTTP/3 would get around the rules.
   * `none`: the egress process would have to count or forward it, and it forwards TCP only.
   */
  readonly datagrams: 'addresses' | 'not-web' | 'none';
}

/**
 * Parses a policy. Throws bad_request naming an entry that is not a target, a name in a policy that is open otherwise, and
 * a name in `denyOut`; and limit_exceeded for more than 1000 entries.
 */
export function parseEgressPolicy(policy: EgressPolicy): ParsedPolicy {
  const targets = parseList('allowOut', policy.allowOut ?? []);
  const isLearning = policy.learn === true;
  const denyOut = parseList('denyOut', policy.denyOut ?? []).filter((rule) => 'range' in rule);
  const allowed = targets.filter((rule) => 'range' in rule);
  const domains = targets.filter((rule) => 'name' in rule);
  const isClosed = policy.allowInternetAccess === false || denyOut.some(isEverything);
  if (domains[0] !== undefined && !isClosed)
    throw new SoulBoxError(
      'bad_request',
      `allowOut names the domain ${shown(domains[0].text)}, which has an effect only if the rest is closed: add 0.0.0.0/0 to denyOut.`,
    );
  const isLimited = Object.values(policy.limits ?? {}).some((limit) => Number(limit) > 0);
  const hasProxy = policy.egressProxy !== undefined;
  const judgesWeb = domains.length > 0 || Object.keys(policy.rules ?? {}).length > 0 || isLearning;
  return {
    closed: isClosed && !isLearning && !allowed.some(isEverything),
    allowed,
    denied: isLearning ? [] : denyOut,
    domains,
    isInspected: judgesWeb || isLimited || hasProxy,
    datagrams: isLimited || hasProxy ? 'none' : judgesWeb ? 'not-web' : 'addresses',
  };
}

/** Whether the policy has no effect, so that no rule is needed. */
export function isOpen(policy: ParsedPolicy): boolean {
  if (policy.isInspected) return false;
  return !policy.closed && (policy.denied.length === 0 || policy.allowed.some(isEverything));
}

/** Whether the rule covers this destination. `address` is a 32-bit number. */
export function coversAddress({ range, ports }: AddressRule, address: number, port: number): boolean {
  return overlaps(range, { address, prefix: 32 }) && (ports === undefined || isInRange(ports, port));
}

/** Whether the rule covers this name, which is in lower case, in ASCII, and without a final dot. */
export function coversName({ name, isWildcard }: DomainRule, asked: string): boolean {
  return isWildcard ? asked.endsWith(`.${name}`) : asked === name;
}

/** Whether the rule covers this port. */
export function coversPort({ ports }: DomainRule, port: number): boolean {
  return ports === undefined ? port === 80 || port === 443 : isInRange(ports, port);
}

/**
 * The ranges of the rules for all ports, or for exactly these ports, widest first. Ranges inside others are left out,
 * because nft accepts no overlaps in a set.
 */
export function rangesOf(rules: readonly AddressRule[], ports?: PortRange): Cidr[] {
  const kept: Cidr[] = [];
  const wanted = rules.filter((rule) => rule.ports?.from === ports?.from && rule.ports?.to === ports?.to);
  for (const { range } of wanted.toSorted((a, b) => a.range.prefix - b.range.prefix))
    if (!kept.some((wider) => overlaps(wider, range))) kept.push(range);
  return kept;
}

/** The different port ranges of the rules. */
export function portsOf(rules: readonly AddressRule[]): PortRange[] {
  const found = new Map<string, PortRange>();
  for (const { ports } of rules) if (ports !== undefined) found.set(`${ports.from}-${ports.to}`, ports);
  return [...found.values()];
}

/**
 * The name in the form in which names are compared: lower case, ASCII (IDNA, as in WHATWG URL), without a final dot.
 * Undefined if it is not a host name (RFC 1123: labels of letters, digits, `-` and, as in practice, `_`).
 */
export function normalizeName(text: string): string | undefined {
  // `domainToASCII` reads what precedes a `/`, `?` or `#` as the host of a URL, and decodes `%`.
  if (text.length > 255 || /[^a-z0-9._-]/i.test(text.replace(/[^\0-\x7f]/g, ''))) return undefined;
  const ascii = domainToASCII(text).toLowerCase().replace(/\.$/, '');
  const isName =
    ascii.length <= 253 &&
    /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/.test(ascii);
  // The last label of a name is never a number; `1.2.3.4` and `0x7f.1` are addresses.
  return isName && isIP(ascii) === 0 && !/(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$/.test(ascii) ? ascii : undefined;
}

/** Parses `443` or `8000-8999`. Undefined for anything else. */
function parsePorts(text: string): PortRange | undefined {
  const [, first, last] = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(text) ?? [];
  const from = Number(first);
  const to = Number(last ?? first);
  return from >= 1 && to <= 65_535 && from <= to ? { from, to } : undefined;
}

function parseList(field: 'allowOut' | 'denyOut', entries: readonly string[]): (AddressRule | DomainRule)[] {
  if (entries.length > maxEntries)
    throw new SoulBoxError(
      'limit_exceeded',
      `${field} has ${entries.length} entries; at most ${maxEntries} are allowed.`,
    );
  return entries.map((entry) => parseEntry(field, entry));
}

function parseEntry(field: 'allowOut' | 'denyOut', entry: string): AddressRule | DomainRule {
  const colon = entry.lastIndexOf(':');
  const target = colon < 0 ? entry : entry.slice(0, colon);
  const ports = colon < 0 ? undefined : parsePorts(entry.slice(colon + 1));
  const withPorts = ports === undefined ? {} : { ports };
  const arePortsGood = colon < 0 || ports !== undefined;
  const range = findCidr(target);
  if (range !== undefined && arePortsGood) return { range, ...withPorts, text: entry };
  const isWildcard = target.startsWith('*.');
  const name = normalizeName(isWildcard ? target.slice(2) : target);
  if (name !== undefined && arePortsGood && field === 'allowOut')
    return { name, isWildcard, ...withPorts, text: entry };
  const wanted =
    field === 'allowOut'
      ? 'an IPv4 address, an IPv4 CIDR, a host name or "*.domain", with or without ":port"'
      : 'an IPv4 address or an IPv4 CIDR, with or without ":port"';
  throw new SoulBoxError('bad_request', `${field} contains ${shown(entry)}, which is not ${wanted}.`);
}

const shown = (entry: string): string => JSON.stringify(entry.slice(0, 100));
const isInRange = ({ from, to }: PortRange, port: number): boolean => port >= from && port <= to;
const isEverything = (rule: AddressRule): boolean => rule.range.prefix === 0 && rule.ports === undefined;
