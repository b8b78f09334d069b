import { isIP } from 'node:net';

const hostForm = /^([a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)\.?(?::\d{1,5})?$/;
const ipv6Form = /^\[([0-9a-f:.]+)\](?::\d{1,5})?$/;

/**
 * The bare host, in lower case, of a Host header or `:authority`. Undefined for everything that is not exactly a name
 * or an address with an optional port: user information, two values, spaces.
 */
export function parseHost(authority: string): string | undefined {
  const text = authority.toLowerCase();
  const ipv6 = ipv6Form.exec(text)?.[1];
  if (ipv6 !== undefined) return isIP(ipv6) === 6 ? ipv6 : undefined;
  return hostForm.exec(text)?.[1];
}

/** Parses a port in decimal without sign, leading zero or exponent. Undefined outside 1 to 65535. */
export function parsePort(text: string): number | undefined {
  if (!/^[1-9][0-9]{0,4}$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65_535 ? port : undefined;
}
