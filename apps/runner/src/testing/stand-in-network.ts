import type { EgressPolicy, Network, NetworkCounters } from '@soulbox/network';

/** A network that records the policy of each slot, and closed connections. */
export interface StandInNetwork extends Network {
  /** Policies by slot, for attached interfaces. */
  readonly policies: ReadonlyMap<number, EgressPolicy>;
  /** Slots whose interfaces let packets through. */
  readonly plugged: ReadonlySet<number>;
  /** Paths of namespaces whose connections to the outside were reset, in order. */
  readonly closed: readonly string[];
  /** What the next calls of `setPolicy` do before the policy is set, in order. */
  readonly beforeSet: (() => Promise<void>)[];
  /** What the interfaces of slots have counted. */
  readonly traffic: Map<number, NetworkCounters>;
}

export function createStandInNetwork(): StandInNetwork {
  const policies = new Map<number, EgressPolicy>();
  const plugged = new Set<number>();
  const closed: string[] = [];
  const beforeSet: (() => Promise<void>)[] = [];
  const traffic = new Map<number, NetworkCounters>();
  return {
    policies,
    plugged,
    closed,
    beforeSet,
    traffic,
    attach(slot, _namespacePath, policy = {}) {
      policies.set(slot, policy);
      plugged.add(slot);
      return Promise.resolve();
    },
    attachUnplugged(slot, _namespacePath, policy = {}) {
      policies.set(slot, policy);
      return Promise.resolve();
    },
    plug(slot) {
      plugged.add(slot);
      return Promise.resolve();
    },
    detach(slot) {
      policies.delete(slot);
      plugged.delete(slot);
      return Promise.resolve();
    },
    async setPolicy(slot, policy) {
      await beforeSet.shift()?.();
      policies.set(slot, policy);
    },
    clearPolicy(slot) {
      policies.set(slot, {});
      return Promise.resolve();
    },
    closeOutside(namespacePath) {
      closed.push(namespacePath);
      return 0;
    },
    hasUnaccepted: () => false,
    closeUnaccepted: () => 0,
    listTraces: () => [...policies.keys()],
    counters: () => new Map(traffic),
    close: () => Promise.resolve(),
  };
}
