import { sandboxNotFound } from '../errors/edge-error.ts';
import { sendEdgeError } from '../errors/send-edge-error.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { forwardToSandbox } from '../forward/sandbox.ts';
import type { SandboxForward } from '../forward/sandbox.ts';
import type { Target } from '../routing/target.ts';
import { mayBeOld, whenFresh } from './fresh-route.ts';

/** What every request for a tenant's code uses. */
export type TenantContext = Omit<SandboxForward, 'route' | 'port' | 'path' | 'isRepeated'>;

export function toNamedSandbox(
  exchange: Exchange,
  target: Target & { kind: 'sandbox' },
  context: TenantContext,
  isFresh = false,
): void {
  const { sandboxId, port, path } = target;
  const { router } = context;
  const route = router.find(sandboxId);
  if (!isFresh && mayBeOld(route))
    void whenFresh(router, exchange, () => toNamedSandbox(exchange, target, context, true));
  else if (route === undefined) sendEdgeError(exchange, sandboxNotFound(sandboxId));
  else forwardToSandbox(exchange, { ...context, route, port, path });
}
