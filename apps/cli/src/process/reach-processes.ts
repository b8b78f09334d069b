import { createClient } from '@connectrpc/connect';
import type { Client, Transport } from '@connectrpc/connect';
import { boundInterimAnswers, SoulBoxError } from '@soulbox/base';
import { createTarget } from '@soulbox/client';
import { callErrorFrom } from '@soulbox/client/connect';
import type { RetryPolicy, Target } from '@soulbox/client';
import { createHttp1Agent, createNodeTransport } from '@soulbox/client/node';
import { envdPort, headers } from '@soulbox/contract';
import { ProcessService } from '@soulbox/contract/process-v1';
import { ApiError } from '../api/api-error.ts';
import { callApi, targetOf } from '../api/call.ts';
import type { ApiConnection } from '../api/connection.ts';
import { findAwake } from '../api/find-awake.ts';
import type { ApiSandboxDetail } from '../api/wire.ts';

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

/** Finds the processes of a sandbox, which is resumed if it is paused. Throws ApiError for one that is not the team's. */
export async function reachProcesses(
  api: ApiConnection,
  sandboxId: string,
  connectionsMax = usualConnectionsMax,
): Promise<ReachedProcesses> {
  const found = await findAwake(api, sandboxId);
  boundInterimAnswers();
  const { origin, protocol } = new URL(api.sandboxUrl(sandboxId, envdPort));
  const agent = createHttp1Agent(protocol, { connectionsMax });
  const sent = {
    [headers.sandboxId]: sandboxId,
    [headers.sandboxPort]: String(envdPort),
    [headers.accessToken]: found.envdAccessToken ?? '',
  };
  const clientWith = (target: Target): ProcessClient => {
    const transport = createNodeTransport({
      ...{ baseUrl: origin, over: agent, target, maxMessageBytes, acceptsCompression: false },
      isSafeToRepeat: (method) => safeMethods.has(method.localName),
    });
    return createClient(ProcessService, withHeaders(transport, sent));
  };
  return {
    sandboxId,
    client: clientWith(targetOf(api)),
    retry: targetOf(api).retry,
    patient: clientWith(createTarget({ name: api.url, retry: patience, breaker: false })),
    async checkAlive() {
      const path = `/sandboxes/${encodeURIComponent(sandboxId)}`;
      const state = await callApi<ApiSandboxDetail>(api, { path, isMadeOnce: true }).catch((error: unknown) => error);
      if (state instanceof ApiError && state.status === 404)
        throw new SoulBoxError('sandbox_not_found', `The sandbox ${sandboxId} has ended, and its processes with it.`);
    },
    [Symbol.dispose]: () => agent.destroy(),
  };
}

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
