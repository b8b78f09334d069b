import { randomUUID } from 'node:crypto';
import type { TenantSandbox } from '../registry/table.ts';
import type { TenantRecord } from '../registry/table.ts';

/** What a sandbox has used since this runner saw it first. Both only grow, also over pauses. */
export interface Counters {
  readonly sandboxId: string;
  readonly teamId: string;
  /** The API key that created it; empty if unknown. */
  readonly keyId: string;
  readonly cpuUsedSeconds: number;
  /** To the outside. */
  readonly networkSentBytes: number;
  readonly hasEnded: boolean;
}

/**
 * Adds up the kernel's counters of each sandbox, which start at 0 with every restore. It is in memory: what a sandbox
 * used since the last sample before the end of the runner, and until the first sample of the next one, is not counted.
 */
export interface Consumption {
  /** Differs for each life of the runner. */
  readonly epoch: string;
  /** Counts a sandbox from now on. Called again after a pause. `isNew`: it was created just now. */
  begin(sandbox: Pick<TenantSandbox, 'record'>, isNew: boolean): void;
  /** Takes one sample of the kernel's counters. `sentBytes` is undefined if it was not read. */
  observe(record: Pick<TenantRecord, 'sandboxId' | 'generation'>, cpuSeconds: number, sentBytes?: number): void;
  /** Marks the counters as final. They are kept until `forget`. */
  end(sandboxId: string): void;
  list(): Counters[];
  /** Forgets sandboxes that have ended. */
  forget(sandboxIds: readonly string[]): void;
}

interface Entry {
  readonly teamId: string;
  readonly keyId: string;
  /** Of the processes to which `last` belongs. */
  generation: string;
  cpuUsedSeconds: number;
  networkSentBytes: number;
  /** The kernel's counters at the last sample. Undefined: the next sample is where counting begins. */
  last: { cpuSeconds: number | undefined; sentBytes: number | undefined };
  hasEnded: boolean;
}

export function createConsumption(): Consumption {
  const entries = new Map<string, Entry>();
  return {
    epoch: randomUUID(),
    begin({ record: { sandboxId, generation, tenant } }, isNew) {
      const entry = entries.get(sandboxId);
      if (entry === undefined) {
        const { teamId, keyId } = tenant;
        // A spare sends nothing, but it has used CPU time for its boot, which is not the tenant's.
        const last = { cpuSeconds: undefined, sentBytes: isNew ? 0 : undefined };
        const nothing = { cpuUsedSeconds: 0, networkSentBytes: 0, hasEnded: false };
        entries.set(sandboxId, { teamId, keyId, generation, last, ...nothing });
      } else if (entry.generation !== generation) {
        entry.generation = generation;
        entry.last = { cpuSeconds: 0, sentBytes: 0 };
      }
    },
    observe({ sandboxId, generation }, cpuSeconds, sentBytes) {
      const entry = entries.get(sandboxId);
      // A sample may arrive after the processes that it is about have been replaced.
      if (entry === undefined || entry.generation !== generation) return;
      const { last } = entry;
      entry.cpuUsedSeconds += growth(last.cpuSeconds, cpuSeconds);
      last.cpuSeconds = cpuSeconds;
      if (sentBytes === undefined) return;
      entry.networkSentBytes += growth(last.sentBytes, sentBytes);
      last.sentBytes = sentBytes;
    },
    end(sandboxId) {
      const entry = entries.get(sandboxId);
      if (entry !== undefined) entry.hasEnded = true;
    },
    list: () =>
      [...entries].map(([sandboxId, { teamId, keyId, cpuUsedSeconds, networkSentBytes, hasEnded }]) => ({
        ...{ sandboxId, teamId, keyId, cpuUsedSeconds, networkSentBytes, hasEnded },
      })),
    forget(sandboxIds) {
      for (const sandboxId of sandboxIds) if (entries.get(sandboxId)?.hasEnded === true) entries.delete(sandboxId);
    },
  };
}

function growth(before: number | undefined, now: number): number {
  return before === undefined ? 0 : Math.max(0, now - before);
}
