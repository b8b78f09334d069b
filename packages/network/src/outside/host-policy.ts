import { isIP } from 'node:net';
import type { LookupFunction } from 'node:net';
import { SoulBoxError } from '@soulbox/base';
import { blockListOf, isIn, isNetwork } from './block-list.ts';
import { guardedLookup } from './guarded-lookup.ts';
import type { OutsidePolicy } from './outside-policy.ts';

/** Decides to which hosts that a tenant names the server may connect. */
export interface HostPolicy {
  /** Throws `bad_request` for a host that can be refused without DNS. `hostname` has the form of a URL's hostname. */
  checkHost(hostname: string): void;
  /** `address` is one of the host, or the host itself. */
  readonly isAllowed: (hostname: string, address: string) => boolean;
  /** The lookup for a connection: see `guardedLookup`. */
  readonly lookup: LookupFunction;
}

/** `allowed` contains the operator's exceptions to `outside`. `setting` names the one that has them, and for what. */
export function createHostPolicy(allowed: readonly string[], outside: OutsidePolicy, setting: string): HostPolicy {
  const hosts = new Set(allowed.filter((entry) => !isNetwork(entry)));
  const networks = blockListOf(allowed.filter(isNetwork));
  const isAllowed = (address: string): boolean => isIn(networks, address) || outside.isOpen(address);
  const isAllowedHost = (hostname: string, address: string): boolean => hosts.has(hostname) || isAllowed(address);
  return {
    isAllowed: isAllowedHost,
    checkHost: (hostname) => {
      const address = hostname.replace(/^\[|\]$/g, '');
      const refused = isIP(address) === 0 ? isLocalName(hostname) && !hosts.has(hostname) : !isAllowed(address);
      if (refused) throw new SoulBoxError('bad_request', `url: the host is private, local or reserved. ${setting}`);
    },
    lookup: guardedLookup(isAllowedHost),
  };
}

/** RFC 6761: these names never leave the machine, whatever a resolver returns. */
const isLocalName = (hostname: string): boolean => /(^|\.)localhost\.?$/.test(hostname);
