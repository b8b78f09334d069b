import { isIP } from 'node:net';
import type { BlockList } from 'node:net';
import { blockListOf, isIn } from './block-list.ts';
import { forbiddenIpv4, forbiddenIpv6, openIpv6 } from './forbidden-ranges.ts';
import { readLocalAddresses } from './local-addresses.ts';

/** How long the host's own addresses are good: with routes to 1000 sandboxes a reading takes 2 ms. Milliseconds. */
const freshMs = 100;

/** Which addresses a stranger may have this host connect to. One check for whoever connects. */
export interface OutsidePolicy {
  /** False for what is forbidden, for every address that the host has now, and for what is no address. */
  isOpen(address: string): boolean;
}

/** `denied` are networks of the operator's choice, forbidden besides; `readLocal` is the kernel, for tests. */
export function createOutsidePolicy(
  denied: readonly string[] = [],
  readLocal: () => readonly string[] = readLocalAddresses,
): OutsidePolicy {
  const forbidden = blockListOf([...forbiddenIpv4, ...forbiddenIpv6, ...denied]);
  const worldWide = blockListOf([openIpv6]);
  const findLocal = remember(() => blockListOf(readLocal()));
  return {
    isOpen: (address) => {
      // A zone (`fe80::1%eth0`) is a matter of this host.
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
