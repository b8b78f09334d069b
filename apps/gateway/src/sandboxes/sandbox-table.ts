import { SandboxAgent } from '@soulbox/contract';
import type { SandboxRoute, SandboxRouter } from '@soulbox/contract';
import type { GatewayConfig } from '../config.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { startBackendTls } from './backend-tls.ts';
import { dialSandbox } from './dial.ts';
import { createHttp2Sessions } from './http2-sessions.ts';
import type { Http2Sessions } from './http2-sessions.ts';

/** The gateway's data of a sandbox while it is served: its connections, and the exchanges that use them. */
export interface SandboxConnections {
  readonly pooled: SandboxAgent;
  readonly fresh: SandboxAgent;
  readonly http2: Http2Sessions;
  /** Each exchange with the function that ends it when the sandbox goes away. */
  readonly exchanges: Map<Exchange, () => void>;
  /** Ends the exchange with `breakOff` instead of a reset. */
  breakOffWith(exchange: Exchange, breakOff: () => void): void;
  /** Ports that are closed to clients of the gateway, with the number of tunnels that keep them so. */
  readonly privatePorts: Map<number, number>;
  /** Set once, when the router reports it. A later sandbox with the same id gets new connections. */
  gone: boolean;
}

export interface SandboxTable {
  /**
   * Counts the exchange as one of the sandbox until it closes, and reports it to the router if it is a use. Undefined
   * if the sandbox already has too many. The route must come from the router in the same tick; otherwise the end of the
   * sandbox could be missed.
   */
  enter(route: SandboxRoute, exchange: Exchange, options: { isUse: boolean }): SandboxConnections | undefined;
  [Symbol.dispose](): void;
}

export function createSandboxTable(options: { config: GatewayConfig; router: SandboxRouter }): SandboxTable {
  const { config, router } = options;
  const bySandbox = new Map<string, SandboxConnections>();

  const end = (sandboxId: string): void => {
    const connections = bySandbox.get(sandboxId);
    if (connections === undefined) return;
    bySandbox.delete(sandboxId);
    connections.gone = true;
    // An answer in progress must not look complete. A request without an answer gets its 502 when its connection
    // breaks.
    for (const [exchange, breakOff] of [...connections.exchanges]) if (exchange.headSent) breakOff();
    connections.pooled.destroy();
    connections.fresh.destroy();
    connections.http2.destroy();
  };
  const get = (sandboxId: string): SandboxConnections => {
    const connections = bySandbox.get(sandboxId) ?? createConnections(config, router, sandboxId);
    bySandbox.set(sandboxId, connections);
    return connections;
  };
  const subscriptions = [
    router.onGone(end),
    router.onOpened((sandboxId, port, connection) => get(sandboxId).pooled.keepAhead(port, connection)),
  ];

  return {
    enter(route, exchange, { isUse }) {
      const connections = get(route.sandboxId);
      if (connections.exchanges.size >= config.maxStreamsPerSandbox) return undefined;
      connections.exchanges.set(exchange, () => exchange.reset());
      const visit = isUse ? router.enter(route.sandboxId) : undefined;
      exchange.onClose(() => {
        connections.exchanges.delete(exchange);
        visit?.[Symbol.dispose]();
      });
      return connections;
    },
    [Symbol.dispose]() {
      for (const unsubscribe of subscriptions) unsubscribe();
      for (const sandboxId of [...bySandbox.keys()]) end(sandboxId);
    },
  };
}

function createConnections(config: GatewayConfig, router: SandboxRouter, sandboxId: string): SandboxConnections {
  const dialFor = (protocol: 'http/1.1' | 'h2') => async (port: number) => {
    const isGone = (): boolean => connections.gone;
    const { portClosedRetries: retries, portClosedRetryDelayMs: retryDelayMs } = config;
    const connection = await dialSandbox(router, sandboxId, port, { retries, retryDelayMs, isGone });
    if (router.find(sandboxId)?.httpsPorts.includes(port) !== true) return connection;
    return await startBackendTls(connection, { sandboxId, protocol, isGone });
  };
  const dial = dialFor('http/1.1');
  const connections: SandboxConnections = {
    pooled: new SandboxAgent(dial, {
      keepAlive: true,
      maxFreeSockets: config.poolSize,
      timeout: config.poolIdleTimeoutMs,
    }),
    fresh: new SandboxAgent(dial, { keepAlive: false }),
    http2: createHttp2Sessions(dialFor('h2'), config.poolIdleTimeoutMs),
    exchanges: new Map(),
    privatePorts: new Map(),
    breakOffWith(exchange, breakOff) {
      if (connections.exchanges.has(exchange)) connections.exchanges.set(exchange, breakOff);
    },
    gone: false,
  };
  return connections;
}
