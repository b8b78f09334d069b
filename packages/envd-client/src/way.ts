import { Agent, globalAgent } from 'node:http';
import type { AgentOptions } from 'node:http';
import { globalAgent as globalTlsAgent } from 'node:https';
import type { Duplex } from 'node:stream';
import type { Transport } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { boundInterimAnswers } from '@soulbox/base';
import { envdPort } from '@soulbox/contract';

/** Opens a connection to a port inside the sandbox. */
export type Dial = (port: number) => Promise<Duplex>;

/** Where an envd is: inside a sandbox that is dialed, or behind a gateway. */
export type EnvdTarget = Dial | EnvdUrl;

interface EnvdUrl {
  /** Its path is left out. */
  readonly url: string;
  /** Sent with every request, such as those that name the sandbox to the gateway. */
  readonly headers: Readonly<Record<string, string>>;
}

/** The way to one envd. Every call of this package goes over one, so all have the same bounds. */
export interface Way {
  readonly agent: Agent;
  readonly origin: URL;
  /** Sent with every request. */
  readonly headers: Readonly<Record<string, string>>;
  /** Cuts the connections that were dialed. Those to a URL are Node's own, which keeps them for later calls. */
  close(): void;
}

export function openWay(target: EnvdTarget): Way {
  boundInterimAnswers();
  if (typeof target === 'function') return openDialedWay(target);
  const origin = new URL(new URL(target.url).origin);
  const agent = origin.protocol === 'https:' ? globalTlsAgent : globalAgent;
  return { agent, origin, headers: target.headers, close: () => undefined };
}

/** Each call has a connection of its own, which ends with it: one that is left would stand in the way of saving the sandbox. */
function openDialedWay(dial: Dial): Way {
  const open = new Set<Duplex>();
  class SandboxAgent extends Agent {
    override createConnection(
      _options: AgentOptions,
      callback?: (error: Error | null, stream: Duplex) => void,
    ): undefined {
      dial(envdPort).then(
        (connection) => {
          open.add(connection);
          connection.once('close', () => open.delete(connection));
          callback?.(null, connection);
        },
        (error: unknown) => callback?.(error as Error, undefined as unknown as Duplex),
      );
      return undefined;
    }
  }
  return {
    agent: new SandboxAgent({ keepAlive: false }),
    origin: new URL('http://envd'),
    headers: {},
    close() {
      for (const connection of open) connection.destroy(new Error('the sandbox is not served any more'));
    },
  };
}

export interface TransportLimits {
  /** Of one message that envd answers. */
  readonly maxMessageBytes: number;
  /** Of a call that sets none. Absent: none. */
  readonly defaultTimeoutMs?: number;
  /** Clients of E2B speak JSON. Absent: the smaller binary form. */
  readonly format?: 'json' | 'binary';
}

export function createWayTransport(way: Way, limits: TransportLimits): Transport {
  const { maxMessageBytes, defaultTimeoutMs, format = 'binary' } = limits;
  return createConnectTransport({
    baseUrl: way.origin.origin,
    httpVersion: '1.1',
    useBinaryFormat: format === 'binary',
    // What envd sends is counted as it comes.
    acceptCompression: [],
    readMaxBytes: maxMessageBytes,
    nodeOptions: { agent: way.agent },
    ...(defaultTimeoutMs === undefined ? {} : { defaultTimeoutMs }),
  });
}
