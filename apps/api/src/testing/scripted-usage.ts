import type { Hold, SettleUsageRequest } from '@soulbox/contract/runner';

/** The runner's counters of what sandboxes use. */
export interface ScriptedUsage {
  /** Changed by a test to imitate a restart of the runner. */
  epoch: string;
  /** What each sandbox has used, by id; changed by a test. */
  readonly counters: Map<string, ScriptedCounters>;
  /** The holds of the last call. */
  holds: readonly Hold[];
  settle(request: SettleUsageRequest): {
    epoch: string;
    counters: (Omit<ScriptedCounters, 'networkSentBytes'> & { sandboxId: string; networkSentBytes: bigint })[];
  };
}

interface ScriptedCounters {
  readonly teamId: string;
  readonly keyId: string;
  readonly cpuUsedSeconds: number;
  readonly networkSentBytes: number;
  readonly hasEnded: boolean;
}

export function createScriptedUsage(): ScriptedUsage {
  const usage: ScriptedUsage = {
    epoch: 'first',
    counters: new Map(),
    holds: [],
    settle: ({ recorded, holds }) => {
      for (const id of recorded) usage.counters.delete(id);
      usage.holds = holds;
      const counters = [...usage.counters].map(([sandboxId, { networkSentBytes, ...rest }]) => ({
        ...{ sandboxId, ...rest },
        networkSentBytes: BigInt(networkSentBytes),
      }));
      return { epoch: usage.epoch, counters };
    },
  };
  return usage;
}
