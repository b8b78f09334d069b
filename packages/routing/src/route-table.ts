import { constantTimeEqual } from '@soulbox/base';
import { createFileSigner, createTokenIndex } from '@soulbox/contract';
import type { SandboxRoute, SandboxRouter } from '@soulbox/contract';

/** The routes that another process knows. Lookups are local and call no other process. */
export interface RouteTable extends Pick<
  SandboxRouter,
  'find' | 'findBySignature' | 'signatureTokens' | 'findByAccessToken'
> {
  put(route: SandboxRoute): void;
  remove(sandboxId: string): void;
  all(): Iterable<SandboxRoute>;
}

export function createRouteTable(): RouteTable {
  const routes = new Map<string, SandboxRoute>();
  const tokens = createTokenIndex();
  return {
    find: (sandboxId) => routes.get(sandboxId),
    findBySignature(request, signature) {
      // Checks every token, each in constant time.
      const sign = createFileSigner(request);
      let found: SandboxRoute | undefined;
      for (const route of routes.values()) {
        const token = route.envdAccessToken?.reveal();
        if (token !== undefined && constantTimeEqual(sign(token), signature)) found = route;
      }
      return found;
    },
    signatureTokens: () => routes.size,
    findByAccessToken(token) {
      const sandboxId = tokens.find(token);
      const route = sandboxId === undefined ? undefined : routes.get(sandboxId);
      return route?.envdAccessToken?.equals(token) === true ? route : undefined;
    },
    put(route) {
      routes.set(route.sandboxId, route);
      tokens.put(route.sandboxId, route.envdAccessToken?.reveal() ?? '');
    },
    remove(sandboxId) {
      routes.delete(sandboxId);
      tokens.remove(sandboxId);
    },
    all: () => routes.values(),
  };
}
