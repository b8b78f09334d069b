import type { Transport } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-web';
import { createCallInterceptor } from '../core/connect-calls.ts';
import type { CallRules } from '../core/connect-calls.ts';
import type { Target } from '../core/target.ts';

export interface WebTransportOptions extends CallRules {
  readonly baseUrl: string;
  readonly target: Target;
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
  const { baseUrl, target, defaultTimeoutMs, format = 'binary' } = options;
  return createConnectTransport({
    baseUrl,
    useBinaryFormat: format === 'binary',
    interceptors: [createCallInterceptor(target, options)],
    ...(options.fetch === undefined ? {} : { fetch: options.fetch }),
    ...(defaultTimeoutMs === undefined ? {} : { defaultTimeoutMs }),
  });
}
