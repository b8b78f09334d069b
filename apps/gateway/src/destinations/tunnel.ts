import type { Duplex } from 'node:stream';
import { findTraceContext, SoulBoxError } from '@soulbox/base';
import { envdPort, headers as names, privatePortHeader, tunnelProtocol } from '@soulbox/contract';
import type { SandboxRoute } from '@soulbox/contract';
import type { GatewayConfig } from '../config.ts';
import { mayBeOld, whenFresh } from './fresh-route.ts';
import {
  badAnswer,
  internalRoute,
  portNotOpen,
  runnerAway,
  sandboxNotFound,
  stoppedForRoom,
  tooManyStreams,
  unknownToken,
} from '../errors/edge-error.ts';
import { sendEdgeError } from '../errors/send-edge-error.ts';
import { sandboxPaused } from '../errors/wake-error.ts';
import { findHeader } from '../exchange/exchange.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { dialSandbox } from '../sandboxes/dial.ts';
import type { SandboxConnections } from '../sandboxes/sandbox-table.ts';
import { wakeSandbox } from '../sandboxes/wake.ts';
import { joinTunnel } from '../forward/join-tunnel.ts';
import type { SandboxForward } from '../forward/sandbox.ts';

export type TunnelContext = Pick<SandboxForward, 'router' | 'sandboxes' | 'unread' | 'wakeTimeoutMs' | 'logger'> & {
  readonly config: Pick<GatewayConfig, 'portClosedRetries' | 'portClosedRetryDelayMs'>;
};

/** The connection of the SSH client decides how long a forwarded connection may be silent. */
const idleTimeoutMs = 24 * 3600 * 1000;

/**
 * Passes bytes to a port of a sandbox, whatever they are. Only the SSH process can ask for it. It has to show the access
 * token of the sandbox, which control gives it for each connection of a client. So it reaches no other sandbox, except
 * those that were created without a token.
 */
export function forwardTunnel(
  exchange: Exchange,
  target: { readonly sandboxId: string; readonly port: number },
  context: TunnelContext,
  isFresh = false,
): void {
  const { sandboxId, port } = target;
  const route = context.router.find(sandboxId);
  if (!isFresh && mayBeOld(route))
    void whenFresh(context.router, exchange, () => forwardTunnel(exchange, target, context, true));
  else if (route === undefined) sendEdgeError(exchange, sandboxNotFound(sandboxId));
  else if (!showsToken(exchange, route)) sendEdgeError(exchange, unknownToken);
  // Of envd, the gateway refuses some paths.
  else if (port === envdPort) sendEdgeError(exchange, internalRoute(''));
  else if (route.waitsForRoom) sendEdgeError(exchange, stoppedForRoom(sandboxId));
  else if (route.state === 'paused' && !route.autoResume) sendEdgeError(exchange, sandboxPaused(sandboxId));
  else {
    const connections = context.sandboxes.enter(route, exchange, { isUse: true });
    if (connections === undefined) sendEdgeError(exchange, tooManyStreams(sandboxId));
    else void open(exchange, { route, port, connections }, context);
  }
}

function showsToken(exchange: Exchange, { envdAccessToken }: SandboxRoute): boolean {
  const shown = findHeader(exchange.headers, names.accessToken);
  return envdAccessToken === undefined || (shown !== undefined && envdAccessToken.equals(shown));
}

async function open(
  exchange: Exchange,
  { route, port, connections }: { route: SandboxRoute; port: number; connections: SandboxConnections },
  { router, unread, wakeTimeoutMs, logger, config }: TunnelContext,
): Promise<void> {
  const { sandboxId } = route;
  if (route.state === 'paused') {
    const trace = findTraceContext(findHeader(exchange.headers, 'traceparent'));
    const failure = await wakeSandbox(router, sandboxId, { how: 'wake', timeoutMs: wakeTimeoutMs, logger, trace });
    if (failure !== undefined && !exchange.closed) sendEdgeError(exchange, failure);
    if (failure !== undefined || exchange.closed) return;
  }
  let dialed: Duplex | undefined;
  try {
    const { portClosedRetries: retries, portClosedRetryDelayMs: retryDelayMs } = config;
    const isGone = (): boolean => connections.gone;
    const service = await dialSandbox(router, sandboxId, port, { retries, retryDelayMs, isGone });
    dialed = service;
    service.on('error', () => undefined);
    if (exchange.closed) {
      service.destroy();
      return;
    }
    keepPrivate(exchange, connections);
    const client = exchange.acceptUpgrade(['Connection', 'Upgrade', 'Upgrade', tunnelProtocol]);
    const holding = unread.open(exchange, `sandbox ${sandboxId}`);
    joinTunnel(client, service, { idleTimeoutMs, holding, resetClient: () => exchange.reset() });
  } catch (error) {
    dialed?.destroy();
    if (exchange.closed) return;
    const reason = error instanceof SoulBoxError ? error.reason : undefined;
    logger.debug({ sandboxId, port, err: error }, 'a tunnel could not be opened');
    if (reason === 'port_closed') sendEdgeError(exchange, portNotOpen(sandboxId, port));
    else if (reason === 'runner_unavailable') sendEdgeError(exchange, runnerAway);
    else if (reason === 'sandbox_not_found') sendEdgeError(exchange, sandboxNotFound(sandboxId));
    else sendEdgeError(exchange, badAnswer(sandboxId, port));
  }
}

/** Until the tunnel ends, clients of the gateway do not reach the port that it names. Never that of envd. */
function keepPrivate(exchange: Exchange, { privatePorts }: SandboxConnections): void {
  const port = Number(findHeader(exchange.headers, privatePortHeader) ?? 0);
  if (!Number.isInteger(port) || port < 1 || port > 65_535 || port === envdPort) return;
  privatePorts.set(port, (privatePorts.get(port) ?? 0) + 1);
  exchange.onClose(() => {
    const left = (privatePorts.get(port) ?? 1) - 1;
    if (left === 0) privatePorts.delete(port);
    else privatePorts.set(port, left);
  });
}
