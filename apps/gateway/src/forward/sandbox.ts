import { SoulBoxError } from '@soulbox/base';
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
import { forwardGrpc, isGrpc } from './grpc.ts';
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
  readonly idleTimeoutMs: number;
  readonly wakeTimeoutMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Set when the sandbox was paused under the first try. */
  readonly isRepeated?: boolean;
}

/**
 * Checks what the sandbox demands of a request, wakes the sandbox if it is paused, and passes the request to the port by the
 * protocol it needs. Nothing of a body is read before: the client waits as it would for a slow reader.
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
  const failure = await wakeSandbox(router, sandboxId, { how, timeoutMs: wakeTimeoutMs, logger });
  if (exchange.closed) return;
  if (failure !== undefined) sendEdgeError(exchange, failure);
  else if (connections.gone) goneWhileWaiting(exchange, forward);
  else passOn(exchange, forward, connections);
}

/** It came while the sandbox was about to be paused, and waited. Nothing of it was sent, so it begins anew, once. */
function goneWhileWaiting(exchange: Exchange, forward: SandboxForward): void {
  const { sandboxId } = forward.route;
  const route = forward.router.find(sandboxId);
  if (route === undefined) sendEdgeError(exchange, sandboxNotFound(sandboxId));
  else if (forward.isRepeated === true) sendEdgeError(exchange, pausedAgain(sandboxId));
  else repeat(exchange, forward, route);
}

/** What guards the port was decided before the first try. */
function repeat(exchange: Exchange, forward: SandboxForward, route: SandboxRoute): void {
  const { trafficAccessToken } = forward.route;
  forwardToSandbox(exchange, { ...forward, route: { ...route, trafficAccessToken }, isRepeated: true });
}

function passOn(exchange: Exchange, forward: SandboxForward, connections: SandboxConnections): void {
  const { route, port } = forward;
  const common = {
    path: forward.path,
    headers: sandboxHeaders(exchange, route, port),
    holding: forward.unread.open(exchange, `sandbox ${route.sandboxId}`),
    // Its clients know how to read the end of a stream. Those of other ports are told as any connection tells it.
    onAnswer: port === envdPort ? (breakOff: () => void) => connections.breakOffWith(exchange, breakOff) : undefined,
    onFailure: (error: Error) => answerFailure(exchange, forward, connections, error),
  };
  if (isGrpc(exchange)) {
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
  // envd has a token of its own and answers signed URLs, so the traffic token does not guard it.
  if (port === envdPort) return isHostOnlyPath(path) ? internalRoute(path.split('?', 1)[0] ?? '') : undefined;
  if (route.trafficAccessToken === undefined) return undefined;
  const token = findHeader(exchange.headers, names.trafficAccessToken);
  if (token === undefined) return trafficTokenMissing(route.sandboxId);
  return route.trafficAccessToken.equals(token) ? undefined : trafficTokenInvalid(route.sandboxId);
}

/**
 * Whether a paused sandbox runs is answered with no, to anybody: a client whose stream a pause has cut off asks, and the answer must not
 * wake it. Only the end of a step that lets it run again is waited for.
 */
function findStateRefusal(exchange: Exchange, forward: SandboxForward): EdgeError | undefined {
  const { route } = forward;
  // It would hold the request, and the client its patience, for as long as the disk is full.
  if (route.waitsForRoom) return stoppedForRoom(route.sandboxId);
  if (route.state === 'running') return undefined;
  if (asksForHealth(forward)) return route.comesBack ? undefined : sandboxPaused(route.sandboxId);
  if (!route.autoResume) return sandboxPaused(route.sandboxId);
  return mayWake(exchange, forward, forward.clock.now()) ? undefined : wakeForbidden(route.sandboxId);
}

function sandboxHeaders(exchange: Exchange, route: SandboxRoute, port: number): string[] {
  // envd never needs the key of a team, and nothing in a sandbox may be trusted with it.
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
  else if (isUnsendable(error)) sendBadRequest(exchange, 'invalid request');
  else sendEdgeError(exchange, badAnswer(sandboxId, port));
}

/** It ended, or was paused in this very moment: then what can be repeated is, once, and wakes it. */
async function answerGone(exchange: Exchange, forward: SandboxForward): Promise<void> {
  const { sandboxId } = forward.route;
  // The runner may know more than the table does yet. When it is away the table has to do.
  await forward.router.refresh().catch(() => undefined);
  if (exchange.closed) return;
  const route = forward.router.find(sandboxId);
  if (route?.state !== 'paused') sendEdgeError(exchange, sandboxNotFound(sandboxId));
  else if (forward.isRepeated === true || !isRepeatable(exchange)) sendEdgeError(exchange, sandboxPaused(sandboxId));
  else repeat(exchange, forward, route);
}

/** Node refused to write what the client sent: HTTP/2 can say what HTTP/1.1 cannot. */
function isUnsendable(error: Error): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ERR_UNESCAPED_CHARACTERS' || code === 'ERR_INVALID_HTTP_TOKEN';
}
