import type { Clock, Logger } from '@soulbox/base';
import type { SandboxRouter } from '@soulbox/contract';
import { envdPort } from '@soulbox/contract';
import type { FunctionRouter } from '@soulbox/contract/function-service';
import type { SignedUrlChecker } from '@soulbox/contract/signed-url-service';
import { logExchange } from './access-log.ts';
import type { GatewayConfig } from './config.ts';
import { toFunction } from './destinations/function.ts';
import { guardOrigin } from './destinations/guard-origin.ts';
import { createCheckLimit } from './destinations/check-limit.ts';
import { toNamedSandbox } from './destinations/named-sandbox.ts';
import { checkSigned } from './destinations/signed.ts';
import { createSignerWatch } from './destinations/signer-watch.ts';
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
  readonly functions: FunctionRouter;
  readonly signedUrls: SignedUrlChecker;
  readonly envdUses: EnvdUses;
  readonly sandboxes: SandboxTable;
  readonly api: Upstream;
  readonly clock: Clock;
  readonly logger: Logger;
}

const mib = 1024 * 1024;

/** Receives every exchange of every listener. Reads its target, then forwards or answers it. */
export function createRoutes(context: RouteContext): (exchange: Exchange) => void {
  const { config, logger } = context;
  const send = createDestinations(context);
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

type AcceptedTarget = Exclude<Target, { kind: 'refused' }>;

type Send = (exchange: Exchange, target: AcceptedTarget, signature: ReadTarget['signature']) => void;

function createDestinations(context: RouteContext): Send {
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

  return (exchange, target, signature) => {
    if (target.kind === 'api') toApi(exchange, target.path);
    else if (target.kind === 'shared') toUnnamedSandbox(exchange, target.path, unnamed);
    else if (signature === undefined) toTenant(exchange, target, false);
    else void checkSigned(exchange, { target, signature }, signed, (allowed) => toTenant(allowed, target, true));
  };
}

type TenantTarget = Target & { kind: 'sandbox' | 'function' };
