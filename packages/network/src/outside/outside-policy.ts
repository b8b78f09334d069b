import { isIP } from 'node:net';
import type { BlockList } from 'node:net';
import { blockListOf, isIn } from './block-list.ts';
import { forbiddenIpv4, forbiddenIpv6, openIpv6 } from './forbidden-ranges.ts';
import { readLocalAddresses } from './local-addresses.ts';

/**
 * How long a reading of the host's own addresses stays valid, in milliseconds. With routes to 1000 sandboxes a reading
 * takes 2 ms.
 */
const freshMs = 100;

/** Decides to which addresses this host may connect for a stranger. All code that connects uses this check. */
export interface OutsidePolicy {
  /** Returns false for forbidden ranges, for every current address of the host, and for text that is not an address. */
  isOpen(address: string): boolean;
}

/**
 * `denied` are additional networks that the operator forbids. `readLocal` reads the kernel's routes; tests replace it.
 */
export function createOutsidePolicy(
  denied: readonly string[] = [],
  readLocal: () => readonly string[] = readLocalAddresses,
): OutsidePolicy {
  const forbidden = blockListOf([...forbiddenIpv4, ...forbiddenIpv6, ...denied]);
  const worldWide = blockListOf([openIpv6]);
  const findLocal = remember(() => blockListOf(readLocal()));
  return {
    isOpen: (address) => {
      // A zone (`fe80::1%eth0`) only has a meaning on this host.
      if (isIP(address) === 0 || address.includes('%') || isIn(forbidden, address)) return false;
      if (isIP(address) === 6 && !isIn(worldWide, address)) return false;
      return !isIn(findLocal(), address);
    },
  };
}

function remember(read: () => BlockList): () => BlockList {
  let known: { list: BlockList; readAt: number } | undefined;
  return () => {
    const now = performance.now();
    if (known === undefined || now - known.readAt > freshMs) known = { list: read(), readAt: now };
    return known.list;
  };
}
