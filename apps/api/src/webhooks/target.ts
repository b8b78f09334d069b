import { isIP } from 'node:net';
import type { LookupFunction } from 'node:net';
import { SoulBoxError } from '@soulbox/base';
import { blockListOf, guardedLookup, isIn, isNetwork } from '@soulbox/network/outside';
import type { OutsidePolicy } from '@soulbox/network/outside';

/** Decides where webhooks may go. */
export interface TargetPolicy {
  /** Throws `bad_request` for a host that can be refused without asking DNS. `hostname` as a URL has it. */
  checkHost(hostname: string): void;
  /** For a connection: see `guardedLookup`. */
  readonly lookup: LookupFunction;
}

/** `allowed` are the operator's exceptions to `outside`. */
export function createTargetPolicy(allowed: readonly string[], outside: OutsidePolicy): TargetPolicy {
  const hosts = new Set(allowed.filter((entry) => !isNetwork(entry)));
  const networks = blockListOf(allowed.filter(isNetwork));
  const isAllowed = (address: string): boolean => isIn(networks, address) || outside.isOpen(address);
  return {
    checkHost: (hostname) => {
      const address = hostname.replace(/^\[|\]$/g, '');
      const refused = isIP(address) === 0 ? isLocalName(hostname) && !hosts.has(hostname) : !isAllowed(address);
      if (refused) throw new SoulBoxError('bad_request', `url: ${refusalText}`);
    },
    lookup: guardedLookup((hostname, address) => hosts.has(hostname) || isAllowed(address)),
  };
}

const refusalText =
  'the host is private, local or reserved. SOULBOX_WEBHOOK_ALLOW_PRIVATE names those that webhooks may reach.';

/** RFC 6761: these never leave the machine, whatever a resolver says. */
const isLocalName = (hostname: string): boolean => /(^|\.)localhost\.?$/.test(hostname);
