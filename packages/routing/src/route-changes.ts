import type { SandboxRoute } from '@soulbox/contract';
import { routeToMessage } from './route-message.ts';
import type { RouteSource } from './route-source.ts';
import type { RouteChange } from './session.ts';

/** Finds out which routes differ from what the watchers were told. */
export interface RouteChanges {
  /** Notes that the route of a sandbox may have changed. True if it is the first since the last `take`. */
  note(sandboxId: string): boolean;
  /** Returns the differences of the noted routes, and counts them as told. */
  take(): Pick<RouteChange, 'routes' | 'removed'>;
}

export function createRouteChanges(source: RouteSource): RouteChanges {
  /** Fingerprints of the routes as they were told. */
  const known = new Map(source.routes().map((route) => [route.sandboxId, fingerprintOf(route)]));
  const noted = new Set<string>();
  return {
    note(sandboxId) {
      const isFirst = noted.size === 0;
      noted.add(sandboxId);
      return isFirst;
    },
    take() {
      const routes: SandboxRoute[] = [];
      const removed: string[] = [];
      for (const sandboxId of noted) {
        const route = source.find(sandboxId);
        const fingerprint = route === undefined ? undefined : fingerprintOf(route);
        if (fingerprint === known.get(sandboxId)) continue;
        if (route === undefined || fingerprint === undefined) {
          known.delete(sandboxId);
          removed.push(sandboxId);
        } else {
          known.set(sandboxId, fingerprint);
          routes.push(route);
        }
      }
      noted.clear();
      return { routes: routes.map(routeToMessage), removed };
    },
  };
}

function fingerprintOf(route: SandboxRoute): string {
  return JSON.stringify(Object.values(routeToMessage(route)));
}
