import { BlockList, isIP } from 'node:net';
import { headerValues } from './exchange.ts';
import type { RawHeaders } from './exchange.ts';

/** Who sent a request, and whether it came to the first of our side over TLS. */
export interface Client {
  readonly remoteAddress: string;
  readonly secure: boolean;
}

export type ClientReader = (connection: Client, headers: RawHeaders) => Client;

/** Longer chains of proxies are nobody's. */
const hopsMax = 16;

/**
 * The client behind a connection: its other end, or what a trusted load balancer at that end says in X-Forwarded-For and
 * X-Forwarded-Proto. Each proxy adds the address that it was asked from at the right, so the client is the rightmost one that is no
 * trusted proxy; what stands left of it is the client's own word.
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
    if (trusted.length === 0 || !isTrusted(first)) return connection;
    const hops = headerValues(headers, 'x-forwarded-for')
      .flatMap((value) => value.split(','))
      .slice(-hopsMax);
    let remoteAddress = first;
    for (const hop of hops.reverse()) {
      const address = plainAddress(hop.trim());
      // Not an address: whoever wrote it, the last one that made sense is who asked.
      if (isIP(address) === 0) break;
      remoteAddress = address;
      if (!isTrusted(address)) break;
    }
    const protocols = headerValues(headers, 'x-forwarded-proto').flatMap((value) => value.split(','));
    return { remoteAddress, secure: connection.secure || protocols.at(-1)?.trim().toLowerCase() === 'https' };
  };
}

/** An IPv4 address as a dual-stack socket shows it becomes what it is. */
function plainAddress(address: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
}
