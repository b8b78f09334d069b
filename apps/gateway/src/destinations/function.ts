import { functionFault, sandboxNotFound } from '../errors/edge-error.ts';
import { sendEdgeError } from '../errors/send-edge-error.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { forwardToSandbox } from '../forward/sandbox.ts';
import type { Target } from '../routing/target.ts';
import { mayBeOld } from './fresh-route.ts';
import type { LeasedFunctions } from './leased-functions.ts';
import type { TenantContext } from './named-sandbox.ts';

/** Further data from the client waits in its socket meanwhile, as for a sandbox that wakes. */
export async function toFunction(
  exchange: Exchange,
  { name, path }: Target & { kind: 'function' },
  context: TenantContext & { readonly functions: LeasedFunctions },
): Promise<void> {
  const { functions, ...tenant } = context;
  const { router, logger } = tenant;
  try {
    const { sandboxId, port } = await functions.open(name);
    exchange.onClose(() => {
      if (exchange.status >= 500) functions.drop(name);
    });
    if (mayBeOld(router.find(sandboxId))) await router.refresh();
    const route = router.find(sandboxId);
    if (exchange.closed) return;
    if (route === undefined) sendEdgeError(exchange, sandboxNotFound(sandboxId));
    // The traffic token of its sandbox protects the other ports. This port is public.
    else forwardToSandbox(exchange, { ...tenant, route: { ...route, trafficAccessToken: undefined }, port, path });
  } catch (error) {
    logger.debug({ function: name, err: error }, 'function could not be reached');
    sendEdgeError(exchange, functionFault(name, error));
  }
}
