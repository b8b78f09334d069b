import { globalAgent } from 'node:http';
import type { Agent } from 'node:http';
import { globalAgent as globalTlsAgent } from 'node:https';
import type { Transport } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { boundInterimAnswers } from '@soulbox/base';
import { envdPort, SandboxAgent } from '@soulbox/contract';
import type { Dial } from '@soulbox/contract';

/** The location of an envd: inside a sandbox that is dialed, or behind a gateway. */
export type EnvdTarget = Dial | EnvdUrl;

interface EnvdUrl {
  /** The path of the URL is ignored. */
  readonly url: string;
  /** Sent with every request, for example to name the sandbox to the gateway. */
  readonly headers: Readonly<Record<string, string>>;
}

/** The connections to one envd. Every call of this package uses one, so all have the same limits. */
export interface Way {
  readonly agent: Agent;
  readonly origin: URL;
  /** Sent with every request. */
  readonly headers: Readonly<Record<string, string>>;
  /** Closes the dialed connections. Connections to a URL belong to Node, which keeps them for later calls. */
  close(): void;
}

export function openWay(target: EnvdTarget): Way {
  boundInterimAnswers();
  if (typeof target === 'function') return openDialedWay(target);
  const origin = new URL(new URL(target.url).origin);
  const agent = origin.protocol === 'https:' ? globalTlsAgent : globalAgent;
  return { agent, origin, headers: target.headers, close: () => undefined };
}

/**
 * Each call has a connection of its own, which ends with the call. A leftover connection would prevent a checkpoint of
 * the sandbox.
 */
function openDialedWay(dial: Dial): Way {
  const agent = new SandboxAgent(async () => await dial(envdPort), { keepAlive: false });
  return {
    agent,
    origin: new URL('http://envd'),
    headers: {},
    close: () => agent.destroy(new Error('the sandbox is no longer served')),
  };
}

export interface TransportLimits {
  /** The maximum size of one message from envd. */
  readonly maxMessageBytes: number;
  /** The timeout of a call that sets none. Absent: no timeout. */
  readonly defaultTimeoutMs?: number;
  /** E2B's clients use JSON. Absent: the smaller binary form. */
  readonly format?: 'json' | 'binary';
}

export function createWayTransport(way: Way, limits: TransportLimits): Transport {
  const { maxMessageBytes, defaultTimeoutMs, format = 'binary' } = limits;
  return createConnectTransport({
    baseUrl: way.origin.origin,
    httpVersion: '1.1',
    useBinaryFormat: format === 'binary',
    // Without compression, the limit counts the bytes that envd really sends.
    acceptCompression: [],
    readMaxBytes: maxMessageBytes,
    nodeOptions: { agent: way.agent },
    ...(defaultTimeoutMs === undefined ? {} : { defaultTimeoutMs }),
  });
}
