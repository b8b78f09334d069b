import { SoulBoxError, systemClock } from '@soulbox/base';
import type { Clock, Logger } from '@soulbox/base';
import type { SandboxRouter } from '@soulbox/contract';
import type { FunctionRouter } from '@soulbox/contract/function-service';
import type { SandboxUseReporter } from '@soulbox/contract/sandbox-use-service';
import type { SignedUrlChecker } from '@soulbox/contract/signed-url-service';
import type { GatewayConfig } from './config.ts';
import { createApiUpstream } from './forward/api.ts';
import type { ApiAddress } from './forward/api.ts';
import { leaseFunctions } from './destinations/leased-functions.ts';
import { createEnvdUses } from './forward/envd-uses.ts';
import type { RouteContext } from './routes.ts';
import { createSandboxTable } from './sandboxes/sandbox-table.ts';

/** Builds the context of the routes. The caller disposes `sandboxes` and `envdUses`, and destroys the agents of `api`. */
export function createContext(options: {
  config: GatewayConfig;
  router: SandboxRouter;
  functions?: FunctionRouter | undefined;
  signedUrls?: SignedUrlChecker | undefined;
  sandboxUses?: SandboxUseReporter | undefined;
  api: ApiAddress;
  logger: Logger;
  clock?: Clock;
}): RouteContext {
  const { config, router, logger, clock = systemClock } = options;
  return {
    config,
    router,
    functions: leaseFunctions(options.functions ?? noFunctions, router),
    signedUrls: options.signedUrls ?? noSignedUrls,
    envdUses: createEnvdUses(options.sandboxUses ?? noReports, logger),
    clock,
    logger,
    sandboxes: createSandboxTable({ config, router }),
    api: createApiUpstream(options.api, config.poolIdleTimeoutMs),
  };
}

const noFunctions: FunctionRouter = {
  open: (name) => Promise.reject(new SoulBoxError('function_not_found', `Function "${name}" was not found.`)),
};

const noReports: SandboxUseReporter = { report: () => Promise.resolve() };

const noSignedUrls: SignedUrlChecker = {
  check: () => Promise.reject(new SoulBoxError('not_implemented', 'This server does not accept signed URLs.')),
  findEnded: () => Promise.resolve([]),
};
