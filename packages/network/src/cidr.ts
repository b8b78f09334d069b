import { isIPv4 } from 'node:net';

/** An IPv4 range. `address` is its first address as a 32-bit number; a single address has `prefix` 32. */
export interface Cidr {
  readonly address: number;
  readonly prefix: number;
}

/** The number of a dotted address. `isIPv4` must accept the text. */
export function numberFromAddress(text: string): number {
  return text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

export function addressFromNumber(value: number): string {
  return [24, 16, 8, 0].map((shift) => String((value >>> shift) & 255)).join('.');
}

/**
 * Parses `a.b.c.d` or `a.b.c.d/p` and clears the host bits. Returns undefined for anything else. Only the dotted
 * decimal form is accepted: `010.1`, `0x0a000001` and the like mean different addresses to different programs.
 */
export function findCidr(text: string): Cidr | undefined {
  const [address = '', prefixText = '32', ...rest] = text.split('/');
  if (rest.length > 0 || !isIPv4(address) || !/^(?:[0-9]|[12][0-9]|3[0-2])$/.test(prefixText)) return undefined;
  const prefix = Number(prefixText);
  return { address: (numberFromAddress(address) & maskOf(prefix)) >>> 0, prefix };
}

export function textFromCidr({ address, prefix }: Cidr): string {
  return prefix === 32 ? addressFromNumber(address) : `${addressFromNumber(address)}/${prefix}`;
}

/** Whether the two ranges have an address in common. One then contains the other. */
export function overlaps(a: Cidr, b: Cidr): boolean {
  return ((a.address ^ b.address) & maskOf(Math.min(a.prefix, b.prefix))) === 0;
}

function maskOf(prefix: number): number {
  // In JavaScript, a shift by 32 is a shift by 0.
  return prefix === 0 ? 0 : (-1 << (32 - prefix)) >>> 0;
}
