import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { isNodeError } from '@soulbox/base';

/** A flag of /proc/net/ipv6_route (linux/ipv6_route.h): the route leads to the host itself. */
const RTF_LOCAL = 0x80000000;

/**
 * All ranges that the kernel currently treats as the host itself, as CIDR. Addresses change while a server runs. The
 * source is the kernel's routes instead of the list of interfaces, because some clouds assign the address of a load
 * balancer to a host by a route only.
 */
export function readLocalAddresses(): string[] {
  return [...localIpv4(readFileSync('/proc/net/fib_trie', 'latin1')), ...localIpv6(readIpv6Routes())];
}

/** The host's own IPv4 addresses, for a process that will no longer see /proc. */
export interface LocalAddresses extends Disposable {
  /** Like `readLocalAddresses`, without IPv6. */
  read(): string[];
}

export function openLocalAddresses(): LocalAddresses {
  const fd = openSync('/proc/net/fib_trie', 'r');
  let buffer = Buffer.alloc(64 * 1024);
  return {
    read() {
      let length = 0;
      for (;;) {
        if (length === buffer.length) buffer = Buffer.concat([buffer, Buffer.alloc(buffer.length)]);
        const count = readSync(fd, buffer, length, buffer.length - length, length);
        if (count === 0) return localIpv4(buffer.toString('latin1', 0, length));
        length += count;
      }
    },
    [Symbol.dispose]: () => closeSync(fd),
  };
}

/** The lines have the form `|-- 192.0.2.2`, each followed by one such as `/32 host LOCAL` for every route to it. */
export function localIpv4(trie: string): string[] {
  const found = new Set<string>();
  // Only few of the thousands of routes to sandboxes are local, so the search starts at those and looks back for the
  // address.
  for (const match of trie.matchAll(/^ *\/([0-9]+) \S+ LOCAL$/gm)) {
    const at = trie.lastIndexOf('|-- ', match.index) + 4;
    found.add(`${trie.slice(at, trie.indexOf('\n', at))}/${match[1] ?? ''}`);
  }
  return [...found];
}

/**
 * The fields of a line: destination, its prefix length in hexadecimal, six fields that are not needed, flags, device.
 */
export function localIpv6(routes: string): string[] {
  // The flags come before the device. Only lines whose flags can contain RTF_LOCAL are parsed.
  const lines = routes.match(/^.* [89a-f][0-9a-f]{7} +\S+$/gm) ?? [];
  return lines.flatMap((line) => {
    const [destination = '', bits = '', , , , , , , flags = ''] = line.trim().split(/\s+/);
    if (destination.length !== 32 || (Number.parseInt(flags, 16) & RTF_LOCAL) === 0) return [];
    return [`${(destination.match(/.{4}/g) ?? []).join(':')}/${Number.parseInt(bits, 16)}`];
  });
}

/** A kernel without IPv6 has neither this file nor such addresses. */
function readIpv6Routes(): string {
  try {
    return readFileSync('/proc/net/ipv6_route', 'latin1');
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return '';
    throw error;
  }
}
