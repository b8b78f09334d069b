import { lookup } from 'node:dns';
import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';

/** A name resolved to an address that its user may not reach. */
export class ForbiddenAddressError extends Error {
  constructor() {
    super('the host is private, local or reserved');
  }
}

/**
 * A `lookup` function for a connection. It resolves the name, checks every address, and returns exactly the checked
 * addresses. The connection uses those, so a second DNS answer cannot redirect it. One forbidden address rejects the
 * name, because the connection chooses which address to try. Node does not call `lookup` for a literal address; check
 * that before.
 */
export function guardedLookup(isAllowed: (hostname: string, address: string) => boolean): LookupFunction {
  const faultOf = (hostname: string, found: readonly LookupAddress[]): Error | undefined =>
    found.length > 0 && found.every(({ address }) => isAllowed(hostname, address))
      ? undefined
      : new ForbiddenAddressError();
  return (hostname, options, done) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      const fault = error ?? faultOf(hostname, addresses);
      const first = fault === undefined ? addresses[0] : undefined;
      if (first === undefined) done(fault ?? new ForbiddenAddressError(), '', 0);
      else if (options.all === true) done(null, addresses);
      else done(null, first.address, first.family);
    });
  };
}
