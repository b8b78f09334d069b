import { isIP } from 'node:net';
import { blockListOf, isIn } from './block-list.ts';
import { forbiddenIpv4, forbiddenIpv6, openIpv6 } from './forbidden-ranges.ts';
import { readLocalAddresses } from './local-addresses.ts';

/** Which addresses a stranger may have this host connect to. One check for whoever connects. */
export interface OutsidePolicy {
  /** False for what is forbidden, for every address of the host as it is now, and for what is no address. */
  isOpen(address: string): boolean;
}

/** `denied` are networks of the operator's choice, forbidden besides; `readLocal` is the kernel, for tests. */
export function createOutsidePolicy(
  denied: readonly string[] = [],
  readLocal: () => readonly string[] = readLocalAddresses,
): OutsidePolicy {
  const forbidden = blockListOf([...forbiddenIpv4, ...forbiddenIpv6, ...denied]);
  const worldWide = blockListOf([openIpv6]);
  return {
    isOpen: (address) => {
      // A zone (`fe80::1%eth0`) is a matter of this host.
      if (isIP(address) === 0 || address.includes('%') || isIn(forbidden, address)) return false;
      if (isIP(address) === 6 && !isIn(worldWide, address)) return false;
      return !isIn(blockListOf(readLocal()), address);
    },
  };
}
