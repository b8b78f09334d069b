import { readFileSync } from 'node:fs';
import { isNodeError } from '@soulbox/base';

/** A flag of /proc/net/ipv6_route (linux/ipv6_route.h): the host itself is meant. */
const RTF_LOCAL = 0x80000000;

/**
 * Every range that the kernel takes for the host itself, as CIDR, this moment: addresses come and go while a server runs. From its
 * routes and not from the list of interfaces, for some clouds give a host the address of a load balancer by a route alone.
 */
export function readLocalAddresses(): string[] {
  return [...localIpv4(readFileSync('/proc/net/fib_trie', 'latin1')), ...localIpv6(readIpv6Routes())];
}

/** Lines such as `|-- 192.0.2.2`, each followed by one such as `/32 host LOCAL` for every route to it. */
export function localIpv4(trie: string): string[] {
  const found = new Set<string>();
  // Of thousands of routes to sandboxes few are local: each of those looks back for its address.
  for (const match of trie.matchAll(/^ *\/([0-9]+) \S+ LOCAL$/gm)) {
    const at = trie.lastIndexOf('|-- ', match.index) + 4;
    found.add(`${trie.slice(at, trie.indexOf('\n', at))}/${match[1] ?? ''}`);
  }
  return [...found];
}

/** Lines of destination, its bits in hexadecimal, six fields that mean nothing here, flags, device. */
export function localIpv6(routes: string): string[] {
  // The flags stand before the device; only lines with RTF_LOCAL among them are looked at.
  const lines = routes.match(/^.* [89a-f][0-9a-f]{7} +\S+$/gm) ?? [];
  return lines.flatMap((line) => {
    const [destination = '', bits = '', , , , , , , flags = ''] = line.trim().split(/\s+/);
    if (destination.length !== 32 || (Number.parseInt(flags, 16) & RTF_LOCAL) === 0) return [];
    return [`${(destination.match(/.{4}/g) ?? []).join(':')}/${Number.parseInt(bits, 16)}`];
  });
}

/** A kernel without IPv6 has no such file, and no such addresses. */
function readIpv6Routes(): string {
  try {
    return readFileSync('/proc/net/ipv6_route', 'latin1');
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return '';
    throw error;
  }
}
