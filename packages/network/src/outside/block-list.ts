import { BlockList, isIP } from 'node:net';

/** The length of an address in bits. */
const bitsOf = { 4: 32, 6: 128 } as const;

/** Whether a text is an address or a CIDR network in a form that all programs read the same way. */
export function isNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  const family = isIP(address);
  if ((family !== 4 && family !== 6) || address.includes('%') || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= bitsOf[family]);
}

export function blockListOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    const family = isIP(address) === 6 ? 6 : 4;
    list.addSubnet(address, bits === undefined ? bitsOf[family] : Number(bits), `ipv${family}`);
  }
  return list;
}

/** Returns false for a text that is not an address. */
export function isIn(list: BlockList, address: string): boolean {
  const family = isIP(address);
  return (family === 4 || family === 6) && list.check(address, `ipv${family}`);
}
