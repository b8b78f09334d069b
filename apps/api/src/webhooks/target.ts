import { lookup } from 'node:dns';
import type { LookupAddress } from 'node:dns';
import { BlockList, isIP } from 'node:net';
import type { LookupFunction } from 'node:net';
import { SoulBoxError } from '@soulbox/base';

/**
 * IPv4 that is not the public internet: this host, private, shared, link-local (cloud metadata), documentation, benchmark,
 * multicast, reserved (IANA's special-purpose registry).
 */
const specialIpv4 = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24'],
  ...['192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24'],
  ...['224.0.0.0/4', '240.0.0.0/4'],
];
/** The public IPv6, and in it what is none or carries an IPv4 address: Teredo and its neighbours, documentation, 6to4. */
const publicIpv6 = '2000::/3';
const specialIpv6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'];

const special = blockListOf([...specialIpv4, ...specialIpv6]);
const public6 = blockListOf([publicIpv6]);

/** Everything else is refused, IPv4 in an IPv6 cloak (`::ffff:10.0.0.1`, `64:ff9b::`) too. */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 4) return !special.check(address, 'ipv4');
  return isIP(address) === 6 && public6.check(address, 'ipv6') && !special.check(address, 'ipv6');
}

const hostForm = /^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;

/** Whether a text can stand in `SOULBOX_WEBHOOK_ALLOW_PRIVATE`: a host name, an address, or a CIDR network. */
export function isPrivateTarget(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0) return bits === undefined && text.length <= 253 && hostForm.test(text);
  return rest.length === 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= bitsOf(family)));
}

/** Decides where webhooks may go. */
export interface TargetPolicy {
  /** Throws `bad_request` for a host that can be refused without asking DNS. `hostname` as a URL has it. */
  checkHost(hostname: string): void;
  /**
   * `lookup` for a connection: resolves, checks every address, and hands over exactly what was checked. The connection is
   * made to that, so that a second answer of DNS cannot lead elsewhere.
   */
  readonly lookup: LookupFunction;
}

export function createTargetPolicy(allowed: readonly string[]): TargetPolicy {
  const hosts = new Set(allowed.filter((entry) => isIP(entry.split('/')[0] ?? '') === 0));
  const networks = blockListOf(allowed.filter((entry) => !hosts.has(entry)));
  const isAllowed = (address: string): boolean =>
    isPublicAddress(address) || networks.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');

  /** One bad address spoils the name: which of them is tried is the connection's choice. */
  const faultOf = (hostname: string, addresses: readonly LookupAddress[]): Error | undefined =>
    hosts.has(hostname) || addresses.every(({ address }) => isAllowed(address)) ? undefined : new Error(refusalText);

  return {
    checkHost: (hostname) => {
      const address = hostname.replace(/^\[|\]$/g, '');
      const refused = isIP(address) === 0 ? isLocalName(hostname) && !hosts.has(hostname) : !isAllowed(address);
      if (refused) throw new SoulBoxError('bad_request', `url: ${refusalText}`);
    },
    lookup: (hostname, options, done) => {
      lookup(hostname, { ...options, all: true }, (error, addresses) => {
        const fault = error ?? faultOf(hostname, addresses);
        const first = fault === undefined ? addresses[0] : undefined;
        if (first === undefined) done(fault ?? new Error(refusalText), '', 0);
        else if (options.all === true) done(null, addresses);
        else done(null, first.address, first.family);
      });
    },
  };
}

const refusalText =
  'the host is private, local or reserved. SOULBOX_WEBHOOK_ALLOW_PRIVATE names those that webhooks may reach.';

/** RFC 6761: these never leave the machine, whatever a resolver says. */
const isLocalName = (hostname: string): boolean => /(^|\.)localhost\.?$/.test(hostname);

function bitsOf(family: number): number {
  return family === 6 ? 128 : 32;
}

function blockListOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    const family = isIP(address);
    list.addSubnet(address, bits === undefined ? bitsOf(family) : Number(bits), family === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
}
