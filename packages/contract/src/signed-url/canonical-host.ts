import { isIPv6 } from 'node:net';

const nameForm = /^([a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)\.?$/;
const portForm = /^[1-9]\d{0,4}$/;
/** A URL without a port has one of these; signed URLs do not distinguish http and https. */
const defaultPorts: ReadonlySet<string> = new Set(['80', '443']);

/**
 * The host of a `Host` header or a URL in its canonical form: in lower case, without the dot at the end of a complete
 * name, without port 80 or 443, an IPv6 address in its shortest form. Undefined if it is not a host.
 */
export function canonicalHost(authority: string): string | undefined {
  const [, host = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(authority.toLowerCase()) ?? [];
  if (port !== undefined && (!portForm.test(port) || Number(port) > 65_535)) return undefined;
  const bare = host.startsWith('[') ? bracketed(host.slice(1, -1)) : nameForm.exec(host)?.[1];
  if (bare === undefined) return undefined;
  return port === undefined || defaultPorts.has(port) ? bare : `${bare}:${port}`;
}

function bracketed(address: string): string | undefined {
  // Without zones: they name an interface of one machine.
  return isIPv6(address) && !address.includes('%') ? new URL(`http://[${address}]`).hostname : undefined;
}
