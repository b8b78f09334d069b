import type { EgressPolicy, Network } from '@soulbox/network';

/** A network that records the policy of each slot, and closed connections. */
export interface StandInNetwork extends Network {
  /** Policies by slot, for attached interfaces. */
  readonly policies: ReadonlyMap<number, EgressPolicy>;
  /** Slots whose interfaces let packets through. */
  readonly plugged: ReadonlySet<number>;
  /** Paths of namespaces whose connections to the outside were reset, in order. */
  readonly closed: readonly string[];
}

export function createStandInNetwork(): StandInNetwork {
  const policies = new Map<number, EgressPolicy>();
  const plugged = new Set<number>();
  const closed: string[] = [];
  return {
    policies,
    plugged,
    closed,
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
    setPolicy(slot, policy) {
      policies.set(slot, policy);
      return Promise.resolve();
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
    counters: () => new Map(),
    close: () => Promise.resolve(),
  };
}
