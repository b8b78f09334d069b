import { Agent } from 'node:http';
import type { AgentOptions } from 'node:http';
import { Agent as TlsAgent } from 'node:https';

export interface Http1AgentOptions {
  /** Connections to one host at the same time. */
  readonly connectionsMax?: number;
  /** A connection without a request is closed after this time, in milliseconds. */
  readonly idleMs?: number;
}

/** Connections of one client to one host. */
export const defaultConnectionsMax = 16;
/** Node's servers, ours among them, close idle connections after 5 s. */
const defaultIdleMs = 4000;
const tcpKeepAliveMs = 30_000;

/**
 * Node's pool for HTTP/1.1, with limits. The protocol has no ping: idle connections are closed early, before servers
 * close theirs, and the kernel probes the others (TCP keep-alive).
 */
export function createHttp1Agent(protocol: string, options: Http1AgentOptions = {}): Agent {
  const { connectionsMax = defaultConnectionsMax, idleMs = defaultIdleMs } = options;
  const settings: AgentOptions & { keepAliveInitialDelay: number } = {
    keepAlive: true,
    keepAliveMsecs: tcpKeepAliveMs,
    keepAliveInitialDelay: tcpKeepAliveMs,
    maxSockets: connectionsMax,
    maxFreeSockets: connectionsMax,
    timeout: idleMs,
    // The connection that was used last is the least likely to be closed by the server.
    scheduling: 'lifo',
  };
  return protocol === 'https:' ? new TlsAgent(settings) : new Agent(settings);
}
