import type { Clock, Logger } from '@soulbox/base';
import { envdPort } from '@soulbox/contract';
import type { SandboxRoute, SandboxRouter } from '@soulbox/contract';
import type { FunctionRouter } from '@soulbox/contract/function-service';
import { logExchange } from './access-log.ts';
import type { GatewayConfig } from './config.ts';
import {
  functionFault,
  internalFault,
  noServiceWorker,
  runnerAway,
  sandboxNotFound,
  tooManySignatures,
  unknownToken,
} from './errors/edge-error.ts';
import { sendBadRequest, sendEdgeError } from './errors/send-edge-error.ts';
import type { Exchange } from './exchange/exchange.ts';
import { forwardToApi } from './forward/api.ts';
import { findFramingFault } from './forward/headers.ts';
import { forwardToSandbox } from './forward/sandbox.ts';
import { isServiceWorkerScript, onSharedOrigin } from './forward/shared-origin.ts';
import { createUnread } from './forward/unread.ts';
import type { Upstream } from './forward/upstream.ts';
import { findShownToken } from './routing/envd-request.ts';
import { parseSignedFile } from './routing/signed-file.ts';
import type { SignedFile } from './routing/signed-file.ts';
import { createSignatureSearch } from './routing/signature-search.ts';
import { parseTarget } from './routing/target.ts';
import type { Target } from './routing/target.ts';
import type { SandboxTable } from './sandboxes/sandbox-table.ts';

export interface RouteContext {
  readonly config: GatewayConfig;
  readonly router: SandboxRouter;
  readonly functions: FunctionRouter;
  readonly sandboxes: SandboxTable;
  readonly api: Upstream;
  readonly clock: Clock;
  readonly logger: Logger;
}

const mib = 1024 * 1024;

/** The table learns of a running sandbox before any client does, so only other entries may be outdated. */
function mayBeOld(route: SandboxRoute | undefined): boolean {
  return route?.state !== 'running' || route.waitsForRoom;
}

/** Receives every exchange of every listener. Reads its target, then forwards or answers it. */
export function createRoutes(context: RouteContext): (exchange: Exchange) => void {
  const { config, router, functions, sandboxes, api, clock, logger } = context;
  const { idleTimeoutMs, wakeTimeoutMs } = config;
  const unread = createUnread({ totalBytes: config.unreadMb * mib, ownerBytes: config.unreadPerOwnerMb * mib });
  const signatures = createSignatureSearch(router, clock);
  const common = { router, sandboxes, unread, idleTimeoutMs, wakeTimeoutMs, clock, logger };
  const apiCommon = { upstream: api, places: new Map(), maxRequests: config.maxApiRequests };

  const toApi = (exchange: Exchange, path: string): void =>
    forwardToApi(exchange, { ...apiCommon, unread, path, idleTimeoutMs, logger });

  /** Returns the exchange for a tenant's code, or undefined if the exchange was already answered. */
  const guard = (exchange: Exchange, target: { origin: 'own' | 'shared'; saved?: boolean }): Exchange | undefined => {
    if (target.origin === 'own') return exchange;
    const guarded = onSharedOrigin(exchange, target);
    if (!isServiceWorkerScript(exchange)) return guarded;
    sendEdgeError(guarded, noServiceWorker);
    return undefined;
  };

  /**
   * An entry that is missing or not usable may have just changed. So the owner of the sandboxes is asked before a
   * refusal.
   */
  const whenFresh = async (exchange: Exchange, act: () => void): Promise<void> => {
    try {
      await router.refresh();
    } catch {
      sendEdgeError(exchange, runnerAway);
      return;
    }
    if (!exchange.closed) act();
  };

  const toSandbox = (exchange: Exchange, target: Target & { kind: 'sandbox' }, isFresh = false): void => {
    const { sandboxId, port, path } = target;
    const route = router.find(sandboxId);
    if (!isFresh && mayBeOld(route)) void whenFresh(exchange, () => toSandbox(exchange, target, true));
    else if (route === undefined) sendEdgeError(exchange, sandboxNotFound(sandboxId));
    else forwardToSandbox(exchange, { ...common, route, port, path });
  };

  /** Finds the sandbox by a token in the request, which does not name the sandbox. */
  const toShown = (exchange: Exchange, path: string, isFresh = false): void => {
    const token = findShownToken(exchange, path);
    const route = token === undefined ? undefined : router.findByAccessToken(token);
    if (token === undefined) toSignedFile(exchange, path);
    else if (!isFresh && mayBeOld(route)) void whenFresh(exchange, () => toShown(exchange, path, true));
    // In the form of a sandbox that is gone, because that is the usual case.
    else if (route === undefined) sendEdgeError(exchange, unknownToken);
    else {
      const guarded = guard(exchange, { origin: 'shared' });
      if (guarded !== undefined) forwardToSandbox(guarded, { ...common, route, port: envdPort, path });
    }
  };

  const toSignedFile = (exchange: Exchange, path: string): void => {
    const signed = parseSignedFile(exchange, path);
    if (signed === undefined) {
      toApi(exchange, path);
      return;
    }
    // Refreshes first: trying every token twice, before and after a refresh, would cost more.
    void whenFresh(exchange, () => toSigned(exchange, path, signed));
  };

  const toSigned = (exchange: Exchange, path: string, signed: SignedFile): void => {
    const route = signatures.find(signed, exchange.remoteAddress);
    if (route === 'none') sendEdgeError(exchange, { code: 401, message: 'invalid signature' });
    else if (route === 'later') sendEdgeError(exchange, tooManySignatures);
    else {
      const guarded = guard(exchange, { origin: 'shared', saved: true });
      if (guarded !== undefined) forwardToSandbox(guarded, { ...common, route, port: envdPort, path });
    }
  };

  /** Further data from the client waits in its socket meanwhile, as for a sandbox that wakes. */
  const toFunction = async (exchange: Exchange, { name, path }: Target & { kind: 'function' }): Promise<void> => {
    try {
      const { sandboxId, port } = await functions.open(name);
      if (mayBeOld(router.find(sandboxId))) await router.refresh();
      const route = router.find(sandboxId);
      if (exchange.closed) return;
      if (route === undefined) sendEdgeError(exchange, sandboxNotFound(sandboxId));
      // The traffic token of its sandbox protects the other ports. This port is public.
      else forwardToSandbox(exchange, { ...common, route: { ...route, trafficAccessToken: undefined }, port, path });
    } catch (error) {
      logger.debug({ function: name, err: error }, 'function could not be reached');
      sendEdgeError(exchange, functionFault(name, error));
    }
  };

  const toTenant = (exchange: Exchange, target: Target & { kind: 'sandbox' | 'function' }): void => {
    const guarded = guard(exchange, target);
    if (guarded === undefined) return;
    if (target.kind === 'sandbox') toSandbox(guarded, target);
    else void toFunction(guarded, target);
  };

  const route = (exchange: Exchange): void => {
    const target = parseTarget(exchange, config.domain);
    if (config.accessLog !== 'off') logExchange(exchange, { level: config.accessLog, logger, target });
    const fault = findFramingFault(exchange);
    if (fault !== undefined) sendBadRequest(exchange, fault);
    else if (target.kind === 'refused') sendBadRequest(exchange, target.message);
    else if (target.kind === 'sandbox' || target.kind === 'function') toTenant(exchange, target);
    else if (target.kind === 'shared') toShown(exchange, target.path);
    else toApi(exchange, target.path);
  };

  return (exchange) => {
    try {
      route(exchange);
    } catch (error) {
      // An error in our code must only affect this request, not the process.
      logger.error({ err: error }, 'request could not be routed');
      sendEdgeError(exchange, internalFault);
    }
  };
}
