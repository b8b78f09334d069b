import { isIPv6 } from 'node:net';

/** The address at which programs on this host reach a server that listens on `host`. A server on all addresses is reached on loopback. */
export function localAddressOf(host: string): string {
  return host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
}

/** The same in the form that a URL needs: an IPv6 address stands in brackets (RFC 3986, section 3.2.2). */
export function localUrlHostOf(host: string): string {
  const address = localAddressOf(host);
  return isIPv6(address) ? `[${address}]` : address;
}
