import { envdPort, headers as names } from '@soulbox/contract';
import { findHeader } from '../exchange/exchange.ts';
import type { Exchange } from '../exchange/exchange.ts';

/**
 * Whether a request asks if a sandbox runs. `isRunning()` of the clients sends it, and clients also send it after a
 * stream broke.
 */
export function asksForHealth({ port, path }: { port: number; path: string }): boolean {
  return port === envdPort && bare(path) === '/health';
}

/**
 * With `E2B_SANDBOX_URL`, the clients 2.7.0 to 2.14.0 do not name a sandbox in requests for files or health, but send
 * its access token. Returns undefined for every other request.
 */
export function findShownToken(exchange: Pick<Exchange, 'headers'>, path: string): string | undefined {
  if (!['/files', '/health'].includes(bare(path))) return undefined;
  return findHeader(exchange.headers, names.accessToken);
}

const bare = (path: string): string => path.split('?', 1)[0] ?? '';
