import { Agent } from 'node:http';
import type { AgentOptions } from 'node:http';
import type { Transport } from '@connectrpc/connect';
import { boundInterimAnswers } from '@soulbox/base';
import { createHosts, createSlots, createTarget, defaultWaiting, noRetries } from '@soulbox/client';
import type { Slots, Target } from '@soulbox/client';
import { createHttp1Agent, createNodeTransport } from '@soulbox/client/node';
import { envdPort, SandboxAgent } from '@soulbox/contract';
import type { Dial } from '@soulbox/contract';
import { isSafeToRepeat } from './safe-methods.ts';

/** The location of an envd: inside a sandbox that is dialed, or behind a gateway. */
export type EnvdTarget = Dial | EnvdUrl | EnvdSocket;

interface EnvdSocket {
  /** The Unix socket of a gateway. */
  readonly socketPath: string;
  /** The host name by which the gateway finds the sandbox. */
  readonly host: string;
}

interface EnvdUrl {
  /** The path of the URL is ignored. */
  readonly url: string;
  /** Sent with every request, for example to name the sandbox to the gateway. */
  readonly headers: Readonly<Record<string, string>>;
  /** The rules of calls to this URL, such as retries. Absent: each call is one attempt. */
  readonly target?: Target;
}

/** The connections to one envd. Every call of this package uses one, so all have the same limits. */
export interface Way {
  readonly agent: Agent;
  readonly origin: URL;
  /** Sent with every request. */
  readonly headers: Readonly<Record<string, string>>;
  /** A sandbox that is dialed has none: if its envd does not answer, the caller decides what follows. */
  readonly target: Target | undefined;
  /** Limit how many calls and streams are in progress. */
  readonly slots: Slots;
  /** Closes the dialed connections. Those to a URL are shared by all ways of this process. */
  close(): void;
}

/** To one host. Each stream of a program holds one. */
const connectionsMax = 256;
const plainAgent = createHttp1Agent('http:', { connectionsMax });
const tlsAgent = createHttp1Agent('https:', { connectionsMax });

/** All ways to one host share its connections, and so their limit. */
const hostOf = createHosts({ callsMax: connectionsMax, streamsMax: connectionsMax });

export function openWay(target: EnvdTarget): Way {
  boundInterimAnswers();
  if (typeof target === 'function') return openDialedWay(target);
  if ('socketPath' in target) return openSocketWay(target);
  const origin = new URL(new URL(target.url).origin);
  const agent = origin.protocol === 'https:' ? tlsAgent : plainAgent;
  return {
    agent,
    origin,
    headers: target.headers,
    target: target.target,
    slots: hostOf(origin.origin).slots,
    close: () => undefined,
  };
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
    target: undefined,
    slots: createSlots('the sandbox', connectionsMax, defaultWaiting),
    close: () => agent.destroy(new Error('the sandbox is no longer served')),
  };
}

function openSocketWay({ socketPath, host }: EnvdSocket): Way {
  const agent = new Agent({ keepAlive: true, socketPath } as AgentOptions);
  const slots = createSlots(host, connectionsMax, defaultWaiting);
  return {
    agent,
    origin: new URL(`http://${host}`),
    headers: {},
    target: undefined,
    slots,
    close: () => agent.destroy(),
  };
}

export interface TransportLimits {
  /** The maximum size of one message from envd. */
  readonly maxMessageBytes: number;
  /** The timeout of a call that sets none. Absent: no timeout. */
  readonly defaultTimeoutMs?: number;
  /** E2B's clients use JSON. Absent: the smaller binary form. */
  readonly format?: 'json' | 'binary';
  /** Absent: those of E2B's protocol that change nothing. */
  readonly isSafeToRepeat?: typeof isSafeToRepeat;
}

export function createWayTransport(way: Way, limits: TransportLimits): Transport {
  const { maxMessageBytes, defaultTimeoutMs, format = 'binary' } = limits;
  return createNodeTransport({
    ...{ baseUrl: way.origin.origin, over: way.agent, format, maxMessageBytes },
    isSafeToRepeat: limits.isSafeToRepeat ?? isSafeToRepeat,
    // Without compression, the limit counts the bytes that envd really sends.
    acceptsCompression: false,
    slots: way.slots,
    target: way.target ?? createTarget({ name: way.origin.origin, retry: noRetries, breaker: false }),
    ...(defaultTimeoutMs === undefined ? {} : { defaultTimeoutMs }),
  });
}
