import type { Agent } from 'node:http';
import { createClient } from '@connectrpc/connect';
import type { Client, Transport } from '@connectrpc/connect';
import { boundInterimAnswers, SoulBoxError } from '@soulbox/base';
import { createSlots, defaultWaiting } from '@soulbox/client';
import { callErrorFrom } from '@soulbox/client/connect';
import type { CallError, RetryPolicy, Slots, Target } from '@soulbox/client';
import type { Http2Pool } from '@soulbox/client/node';
import { createHttp1Agent, createHttp2Pool, createNodeTransport } from '@soulbox/client/node';
import { envdPort, headers } from '@soulbox/contract';
import { ProcessService } from '@soulbox/contract/process-v1';
import { ApiError } from '../api/api-error.ts';
import { callApi, sandboxTarget } from '../api/call.ts';
import { connectionEvents } from '../api/connection-events.ts';
import type { ApiConnection } from '../api/connection.ts';
import { findAwake } from '../api/find-awake.ts';
import type { ApiSandboxDetail } from '../api/wire.ts';

interface ReachOptions {
  /** Calls and streams at the same time. */
  readonly connectionsMax?: number | undefined;
  /** For small messages in both directions. Output in bulk costs less over HTTP/1.1. */
  readonly isTerminal?: boolean | undefined;
}

export type ProcessClient = Client<typeof ProcessService>;

/** The processes of one sandbox, through the gateway. */
export interface ReachedProcesses extends Disposable {
  readonly sandboxId: string;
  /** Fails like other calls of the CLI. */
  readonly client: ProcessClient;
  /** Waits longer for a server that is away. For what belongs to a process that runs. */
  readonly patient: ProcessClient;
  /** Of `client`, for a stream that is opened once. */
  readonly retry: RetryPolicy;
  /** Reports that a stream continues on a new connection. */
  onResume(stream: string, error: CallError | undefined): void;
  /** Rejects with an error for the user if the sandbox has ended. Any other state, or no answer, is none. */
  checkAlive(): Promise<void>;
}

/** A server that restarts, or a network that is away: two to five minutes. */
export const patience: RetryPolicy = {
  attempts: 100,
  initialDelayMs: 50,
  maxDelayMs: 3000,
  budgetMs: 300_000,
  retryAfterMaxMs: 30_000,
};

/** Of the output of a process. A dead connection is noticed after twice that time at the latest. */
export const keepaliveSeconds = 10;

/** envd is hostile. A list of processes has their arguments. */
const maxMessageBytes = 16 * 1024 * 1024;
/** Output, input, an acknowledgement, a size and signals at the same time. */
const usualConnectionsMax = 8;
/** Of HTTP/2. A proxy that waits for more than a preface would hold up the terminal. */
const connectTimeoutMs = 5000;

/** Finds the processes of a sandbox, which is resumed if it is paused. Throws ApiError for one that is not the team's. */
export async function reachProcesses(
  api: ApiConnection,
  sandboxId: string,
  { connectionsMax = usualConnectionsMax, isTerminal = false }: ReachOptions = {},
): Promise<ReachedProcesses> {
  const found = await findAwake(api, sandboxId);
  boundInterimAnswers();
  const { origin } = new URL(api.sandboxUrl(sandboxId, envdPort));
  const connections = (isTerminal ? await findHttp2(origin) : undefined) ?? openHttp1(origin, connectionsMax);
  const target = sandboxTarget(origin);
  const sent = {
    [headers.sandboxId]: sandboxId,
    [headers.sandboxPort]: String(envdPort),
    [headers.accessToken]: found.envdAccessToken ?? '',
  };
  const clientWith = (target: Target): ProcessClient => {
    const transport = createNodeTransport({
      ...{ ...connections, baseUrl: origin, target, maxMessageBytes, acceptsCompression: false },
      isLong: (method) => longMethods.has(method.localName),
      isSafeToRepeat: (method) => safeMethods.has(method.localName),
    });
    return createClient(ProcessService, withHeaders(transport, sent));
  };
  return {
    sandboxId,
    client: clientWith(target),
    retry: target.retry,
    patient: clientWith(sandboxTarget(origin, patience)),
    onResume(stream, error) {
      connectionEvents.emit({ target: origin, type: 'resume', stream, error });
    },
    async checkAlive() {
      const path = `/sandboxes/${encodeURIComponent(sandboxId)}`;
      const state = await callApi<ApiSandboxDetail>(api, { path, isMadeOnce: true }).catch((error: unknown) => error);
      if (state instanceof ApiError && state.status === 404)
        throw new SoulBoxError('sandbox_not_found', `The sandbox ${sandboxId} has ended, and its processes with it.`);
    },
    [Symbol.dispose]: () => connections.close(),
  };
}

interface Connections {
  readonly over: Agent | Http2Pool;
  readonly slots?: Slots;
  close(): void;
}

/** Each stream and each call has a connection. The agent would let any number of calls wait, for any time. */
function openHttp1(origin: string, connectionsMax: number): Connections {
  const agent = createHttp1Agent(new URL(origin).protocol, { connectionsMax });
  const slots = createSlots(origin, connectionsMax, defaultWaiting);
  return { over: agent, slots, close: () => agent.destroy() };
}

/**
 * One connection for output, keys, sizes and signals of a terminal. It is pinged, so that a dead one is noticed and
 * replaced also while nothing is printed. Undefined: a proxy in front of the server does not speak HTTP/2, or nobody
 * answers, which the first call finds out.
 */
async function findHttp2(origin: string): Promise<Connections | undefined> {
  const pool = createHttp2Pool({ authority: origin, events: connectionEvents, keepAlive: { connectTimeoutMs } });
  try {
    await pool.open();
    return { over: pool, close: () => pool.close() };
  } catch {
    pool.close();
    return undefined;
  }
}

/** They last until a program takes its input. */
const longMethods: ReadonlySet<string> = new Set<keyof typeof ProcessService.method>(['write', 'closeInput', 'wait']);

/** A start has an id and input has a position, and the others set what they set. A signal would be sent twice. */
const safeMethods: ReadonlySet<string> = new Set<keyof typeof ProcessService.method>(['start', 'write', 'resize']);

/** The calls have no other headers. */
function withHeaders(transport: Transport, sent: Readonly<Record<string, string>>): Transport {
  return {
    unary: async (method, signal, timeoutMs, _header, ...rest) =>
      await transport.unary(method, signal, timeoutMs, sent, ...rest),
    stream: async (method, signal, timeoutMs, _header, ...rest) =>
      await transport.stream(method, signal, timeoutMs, sent, ...rest),
  };
}

/** The error of a call, as people read it. */
export function faultFrom(thrown: unknown): Error {
  if (thrown instanceof SoulBoxError || thrown instanceof ApiError) return thrown;
  return callErrorFrom(thrown);
}
