import { Agent } from 'node:http';
import { isNodeError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { sendEdgeError } from '../errors/edge-error.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { forwardedHeaders } from './headers.ts';
import { forwardHttp1 } from './http1.ts';
import { forwardUpgrade } from './upgrade.ts';
import type { Upstream } from './upstream.ts';

export type ApiAddress = { readonly socketPath: string } | { readonly host: string; readonly port: number };

/** The API as an upstream. `outlivesPool` holds because both are ours. */
export function createApiUpstream(address: ApiAddress, poolIdleTimeoutMs: number): Upstream {
  return {
    address,
    pooled: new Agent({ keepAlive: true, maxFreeSockets: 64, timeout: poolIdleTimeoutMs }),
    fresh: new Agent({ keepAlive: false }),
    outlivesPool: true,
  };
}

export function forwardToApi(
  exchange: Exchange,
  options: { upstream: Upstream; path: string; idleTimeoutMs: number; logger: Logger },
): void {
  const forward = {
    upstream: options.upstream,
    path: options.path,
    headers: forwardedHeaders(exchange, { forwarded: true }),
    onFailure: (error: Error) => {
      options.logger.warn({ err: error }, 'the API did not answer');
      const away = isNodeError(error) && (error.code === 'ECONNREFUSED' || error.code === 'ENOENT');
      sendEdgeError(
        exchange,
        away
          ? { code: 503, message: 'The API is not running. Retry in a moment.' }
          : { code: 502, message: 'The API closed the connection without an answer.' },
      );
    },
  };
  if (exchange.upgrade === undefined) forwardHttp1(exchange, forward);
  else forwardUpgrade(exchange, forward, options.idleTimeoutMs);
}
