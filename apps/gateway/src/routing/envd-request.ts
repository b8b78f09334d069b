import { envdPort, headers as names } from '@soulbox/contract';
import { findHeader } from '../exchange/exchange.ts';
import type { Exchange } from '../exchange/exchange.ts';

/** The question whether a sandbox runs: `isRunning()` of clients, and what they ask when a stream broke off. */
export function asksForHealth({ port, path }: { port: number; path: string }): boolean {
  return port === envdPort && bare(path) === '/health';
}

/**
 * With `E2B_SANDBOX_URL` the clients 2.7.0 to 2.14.0 name no sandbox when they ask for files or health, but show its access token. Gives
 * undefined for every other request.
 */
export function findShownToken(exchange: Pick<Exchange, 'headers'>, path: string): string | undefined {
  if (!['/files', '/health'].includes(bare(path))) return undefined;
  return findHeader(exchange.headers, names.accessToken);
}

const bare = (path: string): string => path.split('?', 1)[0] ?? '';
