import { findHeader } from '../exchange/exchange.ts';
import type { Exchange, RawHeaders } from '../exchange/exchange.ts';

/** Headers that a browser applies to a complete origin, whichever page sent them. */
const ofWholeOrigin: ReadonlySet<string> = new Set([
  'accept-ch',
  'alt-svc',
  'clear-site-data',
  'critical-ch',
  'expect-ct',
  'nel',
  'origin-agent-cluster',
  'public-key-pins',
  'public-key-pins-report-only',
  'report-to',
  'reporting-endpoints',
  'sec-session-registration',
  'service-worker-allowed',
  'set-cookie',
  'set-cookie2',
  'set-login',
  'speculation-rules',
  'strict-transport-security',
  'use-as-dictionary',
]);

/**
 * A page may run its scripts, but in an opaque origin: without cookies, storage, service workers and the API's trust.
 */
const sandboxed = 'sandbox allow-scripts allow-forms allow-modals allow-popups allow-downloads';

/**
 * Wraps the exchange of a tenant's code that is reached under the API's own host name, by a path, a signature or
 * routing headers. In a browser, all tenants and the API share that origin, so the code must not affect it. Headers
 * that apply to the complete origin are removed, pages get an origin of their own, and cookies, which belong to the
 * API, are not passed to tenants. With `saved`, a browser saves the answer instead of showing it. Under a host name of
 * its own, a sandbox or a function has none of these limits.
 */
export function onSharedOrigin(exchange: Exchange, { saved = false }: { saved?: boolean } = {}): Exchange {
  const guard = (headers: RawHeaders): string[] => [
    ...pairsWithout(headers, (name) => ofWholeOrigin.has(name) || name === 'x-content-type-options'),
    ...['Content-Security-Policy', sandboxed, 'X-Content-Type-Options', 'nosniff'],
  ];
  const own: Partial<Exchange> = {
    headers: pairsWithout(exchange.headers, (name) => name === 'cookie'),
    sendHead: (status, text, headers) => {
      const guarded = guard(headers);
      return exchange.sendHead(status, text, saved ? asAttachment(guarded) : guarded);
    },
    setTrailers: (trailers) => exchange.setTrailers(pairsWithout(trailers, (name) => ofWholeOrigin.has(name))),
    acceptUpgrade: (headers) => exchange.acceptUpgrade(pairsWithout(headers, (name) => ofWholeOrigin.has(name))),
  };
  // The other properties are read from the exchange itself, because they can change during the exchange.
  return Object.create(
    exchange,
    Object.fromEntries(Object.entries(own).map(([name, value]) => [name, { value, enumerable: true }])),
  ) as Exchange;
}

/** Whether a browser requests the code of a service worker, which would control the origin. */
export function isServiceWorkerScript(exchange: Pick<Exchange, 'headers'>): boolean {
  return findHeader(exchange.headers, 'service-worker') !== undefined;
}

/** Keeps the file name, if the answer has one. */
function asAttachment(headers: RawHeaders): string[] {
  const given = findHeader(headers, 'content-disposition') ?? '';
  const name = given.includes(';') ? given.slice(given.indexOf(';')) : '';
  const others = pairsWithout(headers, (other) => other === 'content-disposition');
  return [...others, 'Content-Disposition', `attachment${name}`];
}

function pairsWithout(headers: RawHeaders, isDropped: (lowerName: string) => boolean): string[] {
  return headers.filter((_, index) => !isDropped((headers[index - (index % 2)] ?? '').toLowerCase()));
}
