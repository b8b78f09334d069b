import { isIP } from 'node:net';
import { findHeader } from '../exchange/exchange.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { parseHost } from './host.ts';

/** Why a request from a program of this host is refused. */
export interface LocalFault {
  readonly code: 403 | 421;
  readonly message: string;
}

type Request = Pick<Exchange, 'authority' | 'headers' | 'local'>;

const nameMax = 100;

/**
 * Protects a server that only this host can reach from the web pages in its browsers. A page could let its own DNS name
 * point to 127.0.0.1 (DNS rebinding), which the Host header shows, or send requests across origins, which the Origin
 * header shows. Names that no DNS answer of a stranger can take over are allowed: addresses, `localhost`, the server's
 * domain, and `allowed`. Returns undefined for an allowed request.
 */
export function createLocalGuard(
  domain: string,
  allowed: readonly string[],
): (request: Request) => LocalFault | undefined {
  if (allowed.includes('*')) return () => undefined;
  const isOurs = (host: string): boolean =>
    isIP(host) !== 0 || [...allowed, 'localhost', domain].some((name) => host === name || host.endsWith(`.${name}`));
  return ({ authority = '', headers, local }) => {
    if (!local) return undefined;
    const host = parseHost(authority);
    if (authority !== '' && (host === undefined || !isOurs(host)))
      return { code: 421, message: `The server does not serve the host name ${quoted(authority)}. ${hint}` };
    const origin = findHeader(headers, 'origin');
    if (origin === undefined) return undefined;
    const from = URL.canParse(origin) ? parseHost(new URL(origin).host) : undefined;
    if (from !== undefined && isOurs(from)) return undefined;
    return { code: 403, message: `The server refuses requests of the web page at ${quoted(origin)}. ${hint}` };
  };
}

const hint = 'Operators can allow more host names in SOULBOX_ALLOWED_HOSTS.';
const quoted = (text: string): string => JSON.stringify(text.slice(0, nameMax));
