import { lookup } from 'node:dns';
import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';

/** A name led to an address that its user may not reach. */
export class ForbiddenAddressError extends Error {
  constructor() {
    super('the host is private, local or reserved');
  }
}

/**
 * `lookup` for a connection: resolves, checks every address, and hands over exactly what was checked. The connection is made to
 * that, so that a second answer of DNS cannot lead elsewhere. One bad address spoils the name: which of them is tried is the
 * connection's choice. Node never asks it for a literal address; check that before.
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
