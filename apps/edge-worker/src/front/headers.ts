import type { IncomingMessage } from 'node:http';

const hops: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'te',
  'upgrade',
]);
/** Set here; the client's values are dropped. */
const ours: ReadonlySet<string> = new Set(['cf-connecting-ip', 'x-real-ip']);

/** Alternating names and values, without hop-by-hop headers. */
export function withoutHops(headers: readonly string[]): string[] {
  return filtered(headers, (name) => !hops.has(name));
}

/**
 * The headers for the function: the client's headers, and its address under the names of both platforms. The gateway
 * has set X-Forwarded-For.
 */
export function requestHeaders(request: IncomingMessage): string[] {
  const result = filtered(request.rawHeaders, (name) => !hops.has(name) && !ours.has(name));
  if (request.headers['transfer-encoding'] !== undefined) result.push('Transfer-Encoding', 'chunked');
  return [...result, ...clientAddress(request)];
}

export function clientAddress(request: IncomingMessage): string[] {
  const address = request.headers['x-forwarded-for'];
  return typeof address === 'string' ? ['CF-Connecting-IP', address, 'X-Real-IP', address] : [];
}

export function filtered(headers: readonly string[], keep: (lowerName: string) => boolean): string[] {
  const result: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? '';
    if (keep(name.toLowerCase())) result.push(name, headers[index + 1] ?? '');
  }
  return result;
}

/** For an upgrade request, which keeps `Connection` and `Upgrade`. */
export function upgradeHeaders(request: IncomingMessage): string[] {
  return [...filtered(request.rawHeaders, (name) => !ours.has(name)), ...clientAddress(request)];
}
