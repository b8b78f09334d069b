import type { SandboxRouter } from '@soulbox/contract';
import type { FunctionRoute, FunctionRouter } from '@soulbox/contract/function-service';

/** The look-up of functions, which is not repeated while its last answer may be used. */
export interface LeasedFunctions extends FunctionRouter {
  /** The sandbox has failed a request: the next one looks the function up. */
  drop(name: string): void;
}

/** Leases that have ended are removed when there are so many. Anybody can name functions, but only real ones get here. */
const leasesMax = 1000;

interface Lease extends FunctionRoute {
  readonly untilMs: number;
}

/**
 * The control plane answers with a time for which nothing else serves the function (`leaseMs`). So a busy function costs
 * a look-up every 100 ms, not one per request, and a deploy is still seen by the first request after it.
 */
export function leaseFunctions(functions: FunctionRouter, router: Pick<SandboxRouter, 'find'>): LeasedFunctions {
  const leases = new Map<string, Lease>();
  const find = (name: string): Lease | undefined => {
    const lease = leases.get(name);
    if (lease === undefined || lease.untilMs <= performance.now()) return undefined;
    // A sandbox that sleeps or is gone is the concern of the control plane.
    return router.find(lease.sandboxId)?.state === 'running' ? lease : undefined;
  };
  const removeEnded = (): void => {
    for (const [name, { untilMs }] of leases) if (untilMs <= performance.now()) leases.delete(name);
  };
  return {
    async open(name) {
      const lease = find(name);
      if (lease !== undefined) return lease;
      const askedAtMs = performance.now();
      const route = await functions.open(name);
      if (route.leaseMs > 0) {
        if (leases.size >= leasesMax) removeEnded();
        leases.set(name, { ...route, untilMs: askedAtMs + route.leaseMs });
      }
      return route;
    },
    drop: (name) => void leases.delete(name),
  };
}
