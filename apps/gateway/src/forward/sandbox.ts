import { findTraceContext, SoulBoxError } from '@soulbox/base';
import type { Clock, Logger } from '@soulbox/base';
import { envdPort, headers as names } from '@soulbox/contract';
import type { SandboxRoute, SandboxRouter } from '@soulbox/contract';
import {
  badAnswer,
  internalRoute,
  portNotOpen,
  runnerAway,
  sandboxNotFound,
  stoppedForRoom,
  tooManyStreams,
  trafficTokenInvalid,
  trafficTokenMissing,
} from '../errors/edge-error.ts';
import { sendBadRequest, sendEdgeError } from '../errors/send-edge-error.ts';
import type { EdgeError } from '../errors/edge-error.ts';
import { pausedAgain, sandboxPaused, wakeForbidden } from '../errors/wake-error.ts';
import { findHeader } from '../exchange/exchange.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { asksForHealth } from '../routing/envd-request.ts';
import { isHostOnlyPath } from '../routing/host-only-path.ts';
import { mayWake } from '../routing/may-wake.ts';
import type { SandboxConnections, SandboxTable } from '../sandboxes/sandbox-table.ts';
import { wakeSandbox } from '../sandboxes/wake.ts';
import type { EnvdUses } from './envd-uses.ts';
import { forwardGrpc, needsHttp2 } from './grpc.ts';
import { forwardedHeaders } from './headers.ts';
import { forwardHttp1, isRepeatable } from './http1.ts';
import type { Unread } from './unread.ts';
import { forwardUpgrade } from './upgrade.ts';

export interface SandboxForward {
  readonly route: SandboxRoute;
  readonly port: number;
  readonly path: string;
  readonly router: SandboxRouter;
  readonly sandboxes: SandboxTable;
  readonly unread: Unread;
  readonly envdUses: EnvdUses;
  readonly idleTimeoutMs: number;
  readonly wakeTimeoutMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Set if the sandbox was paused during the first attempt. */
  readonly isRepeated?: boolean;
}

/**
 * Checks the sandbox's requirements for a request, wakes the sandbox if it is paused, and forwards the request to the
 * port in the required protocol. The body is not read before that: the client waits as for a slow reader.
 */
export function forwardToSandbox(exchange: Exchange, forward: SandboxForward): void {
  const { route } = forward;
  const refusal = findRefusal(exchange, forward) ?? findStateRefusal(exchange, forward);
  if (refusal !== undefined) {
    sendEdgeError(exchange, refusal);
    return;
  }
  const connections = forward.sandboxes.enter(route, exchange, { isUse: !asksForHealth(forward) });
  if (connections === undefined) sendEdgeError(exchange, tooManyStreams(route.sandboxId));
  else if (connections.privatePorts.has(forward.port))
    sendEdgeError(exchange, portNotOpen(route.sandboxId, forward.port));
  else if (route.state === 'paused') void wakeAndPassOn(exchange, forward, connections);
  else passOn(exchange, forward, connections);
}

async function wakeAndPassOn(
  exchange: Exchange,
  forward: SandboxForward,
  connections: SandboxConnections,
): Promise<void> {
  const { router, wakeTimeoutMs, logger } = forward;
  const { sandboxId } = forward.route;
  const how = asksForHealth(forward) ? 'settled' : 'wake';
  const trace = findTraceContext(findHeader(exchange.headers, 'traceparent'));
  const failure = await wakeSandbox(router, sandboxId, { how, timeoutMs: wakeTimeoutMs, logger, trace });
  if (exchange.closed) return;
  if (failure !== undefined) sendEdgeError(exchange, failure);
  else if (connections.gone) goneWhileWaiting(exchange, forward);
  else passOn(exchange, forward, connections);
}

/**
 * The request came just before the sandbox was paused, and waited. Nothing of it was sent, so it starts again, once.
 */
function goneWhileWaiting(exchange: Exchange, forward: SandboxForward): void {
  const { sandboxId } = forward.route;
  const route = forward.router.find(sandboxId);
  if (route === undefined) sendEdgeError(exchange, sandboxNotFound(sandboxId));
  else if (forward.isRepeated === true) sendEdgeError(exchange, pausedAgain(sandboxId));
  else repeat(exchange, forward, route);
}

/** The access check of the port was done before the first attempt. */
function repeat(exchange: Exchange, forward: SandboxForward, route: SandboxRoute): void {
  const { trafficAccessToken } = forward.route;
  forwardToSandbox(exchange, { ...forward, route: { ...route, trafficAccessToken }, isRepeated: true });
}

function passOn(exchange: Exchange, forward: SandboxForward, connections: SandboxConnections): void {
  const { route, port } = forward;
  if (port === envdPort) forward.envdUses.note(exchange, route.sandboxId, forward.path);
  const common = {
    path: forward.path,
    headers: sandboxHeaders(exchange, route, port),
    holding: forward.unread.open(exchange, `sandbox ${route.sandboxId}`),
    // The clients of envd understand a final message in a stream. Clients of other ports only see the connection break.
    onAnswer: port === envdPort ? (breakOff: () => void) => connections.breakOffWith(exchange, breakOff) : undefined,
    onFailure: (error: Error) => answerFailure(exchange, forward, connections, error),
  };
  if (needsHttp2(exchange, forward)) {
    void forwardGrpc(exchange, { ...common, http2: connections.http2, port });
    return;
  }
  const upstream = {
    pooled: connections.pooled,
    fresh: connections.fresh,
    address: { host: route.sandboxId, port },
    outlivesPool: port === envdPort,
  };
  if (exchange.upgrade === undefined) forwardHttp1(exchange, { ...common, upstream });
  else forwardUpgrade(exchange, { ...common, upstream }, forward.idleTimeoutMs);
}

function findRefusal(exchange: Exchange, { route, port, path }: SandboxForward): EdgeError | undefined {
  // envd has its own token and accepts signed URLs, so the traffic token does not guard it.
  if (port === envdPort) return isHostOnlyPath(path) ? internalRoute(path.split('?', 1)[0] ?? '') : undefined;
  if (route.trafficAccessToken === undefined) return undefined;
  const token = findHeader(exchange.headers, names.trafficAccessToken);
  if (token === undefined) return trafficTokenMissing(route.sandboxId);
  return route.trafficAccessToken.equals(token) ? undefined : trafficTokenInvalid(route.sandboxId);
}

/**
 * For anybody, the answer to "does it run?" is no while the sandbox is paused. A client asks this after a pause has cut
 * its stream, and the answer must not wake the sandbox. The request only waits if an operation in progress lets the
 * sandbox run again.
 */
function findStateRefusal(exchange: Exchange, forward: SandboxForward): EdgeError | undefined {
  const { route } = forward;
  // Waiting would hold the request and its client for as long as the disk is full.
  if (route.waitsForRoom) return stoppedForRoom(route.sandboxId);
  if (route.state === 'running') return undefined;
  if (asksForHealth(forward)) return route.comesBack ? undefined : sandboxPaused(route.sandboxId);
  if (!route.autoResume) return sandboxPaused(route.sandboxId);
  return mayWake(exchange, forward, forward.clock.now()) ? undefined : wakeForbidden(route.sandboxId);
}

function sandboxHeaders(exchange: Exchange, route: SandboxRoute, port: number): string[] {
  // envd never needs a team's key, and no code in a sandbox may be trusted with it.
  if (port === envdPort) return forwardedHeaders(exchange, { forwarded: false, omit: [names.apiKey] });
  const host = route.maskRequestHost?.replaceAll('${PORT}', String(port));
  return forwardedHeaders(exchange, { forwarded: true, host });
}

function answerFailure(
  exchange: Exchange,
  forward: SandboxForward,
  connections: SandboxConnections,
  error: Error,
): void {
  const { port, logger } = forward;
  const { sandboxId } = forward.route;
  logger.debug({ sandboxId, port, err: error }, 'sandbox did not respond');
  const reason = error instanceof SoulBoxError ? error.reason : undefined;
  if (connections.gone || reason === 'sandbox_not_found') void answerGone(exchange, forward);
  else if (reason === 'port_closed') sendEdgeError(exchange, portNotOpen(sandboxId, port));
  else if (reason === 'runner_unavailable') sendEdgeError(exchange, runnerAway);
  else if (isUnsendable(error))
    sendBadRequest(
      exchange,
      'The method, the path or a header of the request contains characters that cannot be forwarded.',
    );
  else sendEdgeError(exchange, badAnswer(sandboxId, port));
}

/**
 * The sandbox ended or has just been paused. In the second case a repeatable request is repeated once, which wakes it.
 */
async function answerGone(exchange: Exchange, forward: SandboxForward): Promise<void> {
  const { sandboxId } = forward.route;
  // The runner may know more than the table. If the runner is away, the table has to suffice.
  await forward.router.refresh().catch(() => undefined);
  if (exchange.closed) return;
  const route = forward.router.find(sandboxId);
  if (route?.state !== 'paused') sendEdgeError(exchange, sandboxNotFound(sandboxId));
  else if (forward.isRepeated === true || !isRepeatable(exchange)) sendEdgeError(exchange, sandboxPaused(sandboxId));
  else repeat(exchange, forward, route);
}

/** Node refused to write data from the client: HTTP/2 allows texts that HTTP/1.1 does not. */
function isUnsendable(error: Error): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ERR_UNESCAPED_CHARACTERS' || code === 'ERR_INVALID_HTTP_TOKEN';
}
