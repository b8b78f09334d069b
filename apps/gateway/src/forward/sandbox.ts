import { SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { envdPort, headers as names } from '@soulbox/contract';
import type { SandboxRoute } from '@soulbox/contract';
import {
  badAnswer,
  internalRoute,
  portNotOpen,
  sandboxNotFound,
  sendBadRequest,
  sendEdgeError,
  tooManyStreams,
  trafficTokenInvalid,
  trafficTokenMissing,
} from '../errors/edge-error.ts';
import type { EdgeError } from '../errors/edge-error.ts';
import { findHeader } from '../exchange/exchange.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { isHostOnlyPath } from '../routing/host-only-path.ts';
import type { SandboxConnections, SandboxTable } from '../sandboxes/sandbox-table.ts';
import { forwardGrpc, isGrpc } from './grpc.ts';
import { forwardedHeaders } from './headers.ts';
import { forwardHttp1 } from './http1.ts';
import { forwardUpgrade } from './upgrade.ts';

export interface SandboxForward {
  readonly route: SandboxRoute;
  readonly port: number;
  readonly path: string;
  readonly sandboxes: SandboxTable;
  readonly idleTimeoutMs: number;
  readonly logger: Logger;
}

/** Checks what the sandbox demands of a request, then passes it to the port by the protocol it needs. */
export function forwardToSandbox(exchange: Exchange, forward: SandboxForward): void {
  const { route, port } = forward;
  const refusal = findRefusal(exchange, forward);
  if (refusal !== undefined) {
    sendEdgeError(exchange, refusal);
    return;
  }
  const connections = forward.sandboxes.enter(route, exchange);
  if (connections === undefined) {
    sendEdgeError(exchange, tooManyStreams(route.sandboxId));
    return;
  }
  const common = {
    path: forward.path,
    headers: sandboxHeaders(exchange, route, port),
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

function sandboxHeaders(exchange: Exchange, route: SandboxRoute, port: number): string[] {
  // envd never needs the key of a team, and nothing in a sandbox may be trusted with it.
  if (port === envdPort) return forwardedHeaders(exchange, { forwarded: false, omit: [names.apiKey] });
  const host = route.maskRequestHost?.replaceAll('${PORT}', String(port));
  return forwardedHeaders(exchange, { forwarded: true, host });
}

function answerFailure(
  exchange: Exchange,
  { route, port, logger }: SandboxForward,
  connections: SandboxConnections,
  error: Error,
): void {
  const { sandboxId } = route;
  logger.debug({ sandboxId, port, err: error }, 'no answer from the sandbox');
  const reason = error instanceof SoulBoxError ? error.reason : undefined;
  if (connections.gone || reason === 'sandbox_not_found') sendEdgeError(exchange, sandboxNotFound(sandboxId));
  else if (reason === 'port_closed') sendEdgeError(exchange, portNotOpen(sandboxId, port));
  else if (isUnsendable(error)) sendBadRequest(exchange, 'invalid request');
  else sendEdgeError(exchange, badAnswer(sandboxId, port));
}

/** Node refused to write what the client sent: HTTP/2 can say what HTTP/1.1 cannot. */
function isUnsendable(error: Error): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ERR_UNESCAPED_CHARACTERS' || code === 'ERR_INVALID_HTTP_TOKEN';
}
