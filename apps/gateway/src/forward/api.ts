import { Agent } from 'node:http';
import { addressGroup, isNodeError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { headers as names } from '@soulbox/contract';
import { tooManyRequests } from '../errors/edge-error.ts';
import { sendEdgeError } from '../errors/send-edge-error.ts';
import { findHeader } from '../exchange/exchange.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { forwardedHeaders } from './headers.ts';
import { forwardHttp1 } from './http1.ts';
import type { Unread } from './unread.ts';
import { forwardUpgrade } from './upgrade.ts';
import type { Upstream } from './upstream.ts';

export type ApiAddress = { readonly socketPath: string } | { readonly host: string; readonly port: number };

/** The API as an upstream. `outlivesPool` is true because we control both sides. */
export function createApiUpstream(address: ApiAddress, poolIdleTimeoutMs: number): Upstream {
  return {
    address,
    pooled: new Agent({ keepAlive: true, maxFreeSockets: 64, timeout: poolIdleTimeoutMs }),
    fresh: new Agent({ keepAlive: false }),
    outlivesPool: true,
  };
}

/** The number of open requests of each key and each address. */
type OpenRequests = Map<string, number>;

export interface ApiForward {
  readonly upstream: Upstream;
  readonly path: string;
  readonly idleTimeoutMs: number;
  readonly unread: Unread;
  readonly openRequests: OpenRequests;
  readonly maxRequests: number;
  readonly logger: Logger;
}

export function forwardToApi(exchange: Exchange, options: ApiForward): void {
  const callers = callersOf(exchange);
  if (!admit(exchange, callers, options)) {
    sendEdgeError(exchange, tooManyRequests);
    return;
  }
  const forward = {
    upstream: options.upstream,
    path: options.path,
    headers: [
      ...forwardedHeaders(exchange, { forwarded: true, keep: [names.isolation] }),
      ...[names.connection, `${exchange.remoteAddress} ${exchange.remotePort}`],
    ],
    // The first caller is the key, if there is one: large answers need a valid key.
    holding: options.unread.open(exchange, callers[0]),
    isOurs: true,
    onFailure: (error: Error) => {
      options.logger.warn({ err: error }, 'API did not respond');
      const away = isNodeError(error) && (error.code === 'ECONNREFUSED' || error.code === 'ENOENT');
      sendEdgeError(
        exchange,
        away
          ? { code: 503, message: 'The API is not running. Retry in a moment.' }
          : { code: 502, message: 'The API closed the connection without a response.' },
      );
    },
  };
  if (exchange.upgrade === undefined) forwardHttp1(exchange, forward);
  else forwardUpgrade(exchange, forward, options.idleTimeoutMs);
}

/** The callers that a request counts for. At this point nobody has checked whether the key is valid. */
function callersOf(exchange: Exchange): [string, ...string[]] {
  const address = `address ${addressGroup(exchange.remoteAddress)}`;
  const key = findHeader(exchange.headers, names.apiKey) ?? findHeader(exchange.headers, 'authorization');
  return key === undefined ? [address] : [`key ${key.slice(0, keyChars)}`, address];
}

/** Our keys have 44 characters. This many are enough to tell any two apart. */
const keyChars = 64;

/** Counts the request until it closes. Returns false if one of its callers already has too many. */
function admit(exchange: Exchange, callers: readonly string[], { openRequests, maxRequests }: ApiForward): boolean {
  if (callers.some((caller) => (openRequests.get(caller) ?? 0) >= maxRequests)) return false;
  for (const caller of callers) openRequests.set(caller, (openRequests.get(caller) ?? 0) + 1);
  exchange.onClose(() => {
    for (const caller of callers) {
      const left = (openRequests.get(caller) ?? 0) - 1;
      if (left > 0) openRequests.set(caller, left);
      else openRequests.delete(caller);
    }
  });
  return true;
}
