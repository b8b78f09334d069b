import { createClient } from '@connectrpc/connect';
import type { ConnectRouter, Transport } from '@connectrpc/connect';
import { errorFromUnknown } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { connectErrorFromError } from './error-to-connect.ts';
import { errorForCaller } from './error-to-http.ts';
import { controlAway, errorFromConnect } from './error-from-connect.ts';
import type { FunctionRouter } from './function-service.ts';
import { FunctionRoutingService } from '@soulbox/contract/control';

/**
 * The first start of a function creates a sandbox, and may wait until the template is built
 * (functions/start-sandbox.ts).
 */
const openMs = 130_000;

/** Serves the lookup by which the gateway finds the sandbox of a function by name. */
export function addFunctionRoutes(router: ConnectRouter, functions: FunctionRouter, logger: Logger): void {
  router.service(FunctionRoutingService, {
    openFunction: async ({ name }) => {
      try {
        return await functions.open(name);
      } catch (thrown) {
        const error = errorForCaller(errorFromUnknown(thrown));
        if (error.reason === 'internal') logger.error({ err: thrown }, 'function could not be opened');
        throw connectErrorFromError(error);
      }
    },
  });
}

/**
 * The client of that lookup, for another process. Throws the error of the control plane, or an error that it cannot be
 * reached.
 */
export function createFunctionRouter(transport: Transport): FunctionRouter {
  const client = createClient(FunctionRoutingService, transport);
  return {
    async open(name) {
      try {
        const { sandboxId, port, leaseMs } = await client.openFunction({ name }, { timeoutMs: openMs });
        return { sandboxId, port, leaseMs };
      } catch (thrown) {
        throw errorFromConnect(thrown, controlAway);
      }
    },
  };
}
