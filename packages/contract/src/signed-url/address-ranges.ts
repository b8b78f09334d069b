import { BlockList, isIPv4, isIPv6 } from 'node:net';

/** Ranges in one signed URL. */
export const addressRangesMax = 10;

/** Whether the text is an address or a CIDR network. IPv4 must not be written as IPv6 (`::ffff:192.0.2.1`). */
export function isAddressRange(text: string): boolean {
  const [, address = '', bits] = /^([^/]*)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? [];
  if (isIPv4(address)) return Number(bits ?? 32) <= 32;
  return isIPv6(address) && !address.includes('%') && Number(bits ?? 128) <= 128 && !isMapped(address);
}

/** Whether an address is in one of the ranges. An IPv4 address in IPv6 form counts as IPv4. */
export function isInRanges(address: string, ranges: readonly string[]): boolean {
  const [bare = ''] = address.split('%', 1);
  const plain = isIPv6(bare) && isMapped(bare) ? unmapped(bare) : bare;
  const family = isIPv4(plain) ? 'ipv4' : 'ipv6';
  if (family === 'ipv6' && !isIPv6(plain)) return false;
  const list = new BlockList();
  for (const range of ranges) {
    const [network = '', bits] = range.split('/');
    const of = isIPv4(network) ? 'ipv4' : 'ipv6';
    // A network of the other family never matches: Node would compare `::/0` with IPv4 addresses, too.
    if (of === family) list.addSubnet(network, Number(bits ?? (of === 'ipv4' ? 32 : 128)), of);
  }
  return list.check(plain, family);
}

const mappedForm = /^\[::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})\]$/;
const shortest = (address: string): string => new URL(`http://[${address}]`).hostname;

const isMapped = (address: string): boolean => mappedForm.test(shortest(address));

function unmapped(address: string): string {
  const [, high = '', low = ''] = mappedForm.exec(shortest(address)) ?? [];
  const bits = Number.parseInt(high, 16) * 65_536 + Number.parseInt(low, 16);
  return [24, 16, 8, 0].map((shift) => Math.floor(bits / 2 ** shift) % 256).join('.');
}
