import type { Clock, Logger } from '@soulbox/base';
import type { SandboxRouter } from '@soulbox/contract';
import { envdPort, tunnelProtocol } from '@soulbox/contract';
import type { SignedUrlChecker } from '@soulbox/contract/signed-url-service';
import { logExchange } from './access-log.ts';
import type { GatewayConfig } from './config.ts';
import { toFunction } from './destinations/function.ts';
import { guardOrigin } from './destinations/guard-origin.ts';
import { createCheckLimit } from './destinations/check-limit.ts';
import type { LeasedFunctions } from './destinations/leased-functions.ts';
import { toNamedSandbox } from './destinations/named-sandbox.ts';
import { checkSigned } from './destinations/signed.ts';
import { createSignerWatch } from './destinations/signer-watch.ts';
import { forwardTunnel } from './destinations/tunnel.ts';
import type { TunnelContext } from './destinations/tunnel.ts';
import { toUnnamedSandbox } from './destinations/unnamed-sandbox.ts';
import { internalFault } from './errors/edge-error.ts';
import { sendBadRequest, sendEdgeError } from './errors/send-edge-error.ts';
import type { Exchange } from './exchange/exchange.ts';
import { forwardToApi } from './forward/api.ts';
import type { EnvdUses } from './forward/envd-uses.ts';
import { findFramingFault } from './forward/headers.ts';
import { createUnread } from './forward/unread.ts';
import type { Upstream } from './forward/upstream.ts';
import { createSignatureSearch } from './routing/signature-search.ts';
import { createLocalGuard } from './routing/local-page.ts';
import { readTarget } from './routing/signed-target.ts';
import type { ReadTarget } from './routing/signed-target.ts';
import type { Target } from './routing/target.ts';
import type { SandboxTable } from './sandboxes/sandbox-table.ts';

export interface RouteContext {
  readonly config: GatewayConfig;
  readonly router: SandboxRouter;
  readonly functions: LeasedFunctions;
  readonly signedUrls: SignedUrlChecker;
  readonly envdUses: EnvdUses;
  readonly sandboxes: SandboxTable;
  readonly api: Upstream;
  readonly clock: Clock;
  readonly logger: Logger;
}

const mib = 1024 * 1024;

/** What happens to an exchange of a listener. */
export interface Routes {
  /** Of clients: reads its target, then forwards or answers it. */
  readonly take: (exchange: Exchange) => void;
  /** Of the SSH process, which also asks for connections to ports of sandboxes. */
  readonly takeOfSsh: (exchange: Exchange) => void;
}

export function createRoutes(context: RouteContext): Routes {
  const { config, logger } = context;
  const { send, tunnel } = createDestinations(context);
  const findLocalFault = createLocalGuard(config.domain, config.allowedHosts);

  const route = (exchange: Exchange): void => {
    const { target, signature } = readTarget(exchange, config.domain);
    if (config.accessLog !== 'off') logExchange(exchange, { level: config.accessLog, logger, target });
    const fault = findFramingFault(exchange);
    if (fault !== undefined) sendBadRequest(exchange, fault);
    else if (target.kind === 'refused') sendBadRequest(exchange, target.message);
    else {
      const localFault = findLocalFault(exchange);
      if (localFault === undefined) send(exchange, target, signature);
      else sendEdgeError(exchange, localFault);
    }
  };

  const routeOfSsh = (exchange: Exchange): void => {
    if (exchange.upgrade !== tunnelProtocol) {
      route(exchange);
      return;
    }
    const { target } = readTarget(exchange, config.domain);
    if (config.accessLog !== 'off') logExchange(exchange, { level: config.accessLog, logger, target });
    if (target.kind === 'sandbox') forwardTunnel(exchange, target, tunnel);
    else sendBadRequest(exchange, 'A tunnel needs a sandbox and a port.');
  };

  const guard =
    (act: (exchange: Exchange) => void) =>
    (exchange: Exchange): void => {
      try {
        act(exchange);
      } catch (error) {
        // An error in our code must only affect this request, not the process.
        logger.error({ err: error }, 'request could not be routed');
        sendEdgeError(exchange, internalFault);
      }
    };
  return { take: guard(route), takeOfSsh: guard(routeOfSsh) };
}

type AcceptedTarget = Exclude<Target, { kind: 'refused' }>;

type Send = (exchange: Exchange, target: AcceptedTarget, signature: ReadTarget['signature']) => void;

function createDestinations(context: RouteContext): { readonly send: Send; readonly tunnel: TunnelContext } {
  const { config, router, functions, signedUrls, envdUses, sandboxes, api, clock, logger } = context;
  const { idleTimeoutMs, wakeTimeoutMs } = config;
  const unread = createUnread({ totalBytes: config.unreadMb * mib, ownerBytes: config.unreadPerOwnerMb * mib });
  const tenant = { router, sandboxes, unread, envdUses, idleTimeoutMs, wakeTimeoutMs, clock, logger };
  const apiCommon = { upstream: api, openRequests: new Map(), maxRequests: config.maxApiRequests };
  const toApi = (exchange: Exchange, path: string): void =>
    forwardToApi(exchange, { ...apiCommon, unread, path, idleTimeoutMs, logger });
  const unnamed = { tenant, signatures: createSignatureSearch(router, clock), toApi };

  const signed = {
    ...{ checker: signedUrls, limit: createCheckLimit(clock) },
    ...{ watch: createSignerWatch(signedUrls, logger), logger },
  };

  const toTenant = (exchange: Exchange, target: TenantTarget, isSigned: boolean): void => {
    // A browser saves a file of a sandbox instead of showing it on the origin of the API.
    const saved = isSigned && target.kind === 'sandbox' && target.port === envdPort;
    const guarded = guardOrigin(exchange, { origin: target.origin, saved });
    if (guarded === undefined) return;
    if (target.kind === 'sandbox') toNamedSandbox(guarded, target, tenant, { isSigned });
    else void toFunction(guarded, target, { ...tenant, functions });
  };

  const send: Send = (exchange, target, signature) => {
    if (target.kind === 'api') toApi(exchange, target.path);
    else if (target.kind === 'shared') toUnnamedSandbox(exchange, target.path, unnamed);
    else if (signature === undefined) toTenant(exchange, target, false);
    else void checkSigned(exchange, { target, signature }, signed, (allowed) => toTenant(allowed, target, true));
  };
  return { send, tunnel: { router, sandboxes, unread, wakeTimeoutMs, logger, config } };
}

type TenantTarget = Target & { kind: 'sandbox' | 'function' };
