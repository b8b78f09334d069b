import type { Transport } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-web';
import { createCallInterceptor } from '../core/connect-calls.ts';
import type { CallRules } from '../core/connect-calls.ts';
import type { Target } from '../core/target.ts';

export interface WebTransportOptions {
  readonly baseUrl: string;
  readonly target: Target;
  /** Browsers open six connections to a host over HTTP/1.1. */
  readonly slots?: CallRules['slots'];
  readonly isSafeToRepeat?: CallRules['isSafeToRepeat'];
  readonly fetch?: typeof fetch;
  readonly format?: 'json' | 'binary';
  /** The timeout of a call that sets none, in milliseconds. Absent: no timeout. */
  readonly defaultTimeoutMs?: number;
}

/**
 * A transport of connect-web over `fetch`, for browsers and other runtimes. `fetch` has its own connections and no
 * pings: a stream that must notice a dead connection needs `silenceMs` of `resumeStream`.
 */
export function createWebTransport(options: WebTransportOptions): Transport {
  const { baseUrl, target, slots, isSafeToRepeat, defaultTimeoutMs, format = 'binary' } = options;
  return createConnectTransport({
    baseUrl,
    useBinaryFormat: format === 'binary',
    interceptors: [createCallInterceptor(target, { slots, isSafeToRepeat })],
    ...(options.fetch === undefined ? {} : { fetch: options.fetch }),
    ...(defaultTimeoutMs === undefined ? {} : { defaultTimeoutMs }),
  });
}
