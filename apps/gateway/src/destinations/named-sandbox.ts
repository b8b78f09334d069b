import { envdPort } from '@soulbox/contract';
import { sandboxNotFound } from '../errors/edge-error.ts';
import { sendEdgeError } from '../errors/send-edge-error.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { forwardToSandbox } from '../forward/sandbox.ts';
import type { SandboxForward } from '../forward/sandbox.ts';
import { withAccessToken } from '../forward/with-access-token.ts';
import type { Target } from '../routing/target.ts';
import { mayBeOld, whenFresh } from './fresh-route.ts';

/** What every request for a tenant's code uses. */
export type TenantContext = Omit<SandboxForward, 'route' | 'port' | 'path' | 'isRepeated'>;

/**
 * With `isSigned`, a signed URL has allowed the request: it needs no traffic token, and envd receives the access token.
 */
export function toNamedSandbox(
  exchange: Exchange,
  target: Target & { kind: 'sandbox' },
  context: TenantContext,
  { isSigned = false, isFresh = false } = {},
): void {
  const { sandboxId, port, path } = target;
  const { router } = context;
  const route = router.find(sandboxId);
  if (!isFresh && mayBeOld(route))
    void whenFresh(router, exchange, () => toNamedSandbox(exchange, target, context, { isSigned, isFresh: true }));
  else if (route === undefined) sendEdgeError(exchange, sandboxNotFound(sandboxId));
  else if (!isSigned) forwardToSandbox(exchange, { ...context, route, port, path });
  else {
    const allowed = port === envdPort ? withAccessToken(exchange, route) : exchange;
    forwardToSandbox(allowed, { ...context, route: { ...route, trafficAccessToken: undefined }, port, path });
  }
}
