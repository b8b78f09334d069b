import type { Agent } from 'node:http';

/** The destination of an HTTP/1.1 request. */
export interface Upstream {
  /** Keeps connections open for reuse. */
  readonly pooled: Agent;
  /** Opens a connection for a single request. */
  readonly fresh: Agent;
  /** The address options for `http.request`. */
  readonly address: { readonly socketPath: string } | { readonly host: string; readonly port: number };
  /**
   * Whether the other side is known to keep idle connections longer than we do. Only then may a request that cannot be
   * repeated use a kept connection: otherwise the other side could be closing it right now.
   */
  readonly outlivesPool: boolean;
}
