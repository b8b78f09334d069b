import { BlockList, isIP } from 'node:net';
import { headerValues } from './exchange.ts';
import type { RawHeaders } from './exchange.ts';

/** The sender of a request, and whether it reached our first proxy over TLS. */
export interface Client {
  readonly remoteAddress: string;
  readonly secure: boolean;
  /** Whether a program of this host has sent it directly: not a trusted proxy. */
  readonly local: boolean;
}

export type ClientReader = (connection: Pick<Client, 'remoteAddress' | 'secure'>, headers: RawHeaders) => Client;

/** Real chains of proxies are not longer. */
const hopsMax = 16;

/**
 * Finds the client behind a connection: its other end, or the client that a trusted load balancer at that end reports
 * in X-Forwarded-For and X-Forwarded-Proto. Each proxy appends its peer's address at the right, so the client is the
 * rightmost address that is not a trusted proxy. The addresses left of it come from the client itself and are not
 * trustworthy.
 */
export function createClientReader(trusted: readonly string[]): ClientReader {
  const list = new BlockList();
  for (const network of trusted) {
    const [address = '', bits] = network.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    list.addSubnet(address, bits === undefined ? (family === 'ipv6' ? 128 : 32) : Number(bits), family);
  }
  const isTrusted = (address: string): boolean => {
    const family = isIP(address);
    return family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4');
  };
  return (connection, headers) => {
    const first = plainAddress(connection.remoteAddress);
    if (trusted.length === 0 || !isTrusted(first)) return { ...connection, local: isLoopback(first) };
    const hops = headerValues(headers, 'x-forwarded-for')
      .flatMap((value) => value.split(','))
      .slice(-hopsMax);
    let remoteAddress = first;
    for (const hop of hops.reverse()) {
      const address = plainAddress(hop.trim());
      // Not an address. The last valid address is the client, whoever wrote this.
      if (isIP(address) === 0) break;
      remoteAddress = address;
      if (!isTrusted(address)) break;
    }
    const protocols = headerValues(headers, 'x-forwarded-proto').flatMap((value) => value.split(','));
    const secure = connection.secure || protocols.at(-1)?.trim().toLowerCase() === 'https';
    return { remoteAddress, secure, local: false };
  };
}

const isLoopback = (address: string): boolean => address === '::1' || /^127(?:\.\d{1,3}){3}$/.test(address);

/** Converts an IPv4 address from the form of a dual-stack socket to its plain form. */
function plainAddress(address: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
}
