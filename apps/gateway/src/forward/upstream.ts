import type { Agent } from 'node:http';

/** Where an HTTP/1.1 request goes. */
export interface Upstream {
  /** Keeps connections. */
  readonly pooled: Agent;
  /** Makes a connection for one request. */
  readonly fresh: Agent;
  /** What `http.request` needs to find it. */
  readonly address: { readonly socketPath: string } | { readonly host: string; readonly port: number };
  /**
   * Whether we know that it keeps idle connections longer than we do. Only then may a request that cannot be repeated
   * go over a kept one: the other side could be closing it just now.
   */
  readonly outlivesPool: boolean;
}
