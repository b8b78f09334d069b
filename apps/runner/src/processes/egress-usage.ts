import type { Logger } from '@soulbox/base';
import type { SandboxUsage, UsageBook } from '@soulbox/egress-policies';
import type { Network } from '@soulbox/network';
import type { EgressUsage, HostRecord } from '../registry/record.ts';
import type { KnownSandbox, SandboxTable } from '../registry/table.ts';

const noUsage: EgressUsage = { bytes: 0, deviceBytes: 0, generation: '' };

interface UsageParts {
  readonly table: Pick<SandboxTable, 'find' | 'note'>;
  readonly network: Pick<Network, 'counters'>;
  readonly logger: Logger;
}

/**
 * Keeps in the records what sandboxes have used of their byte limits. The egress process reports its counts every few
 * seconds, and when a sandbox loses its policy. What has passed the sandbox's interface since then counts in full, with
 * headers and refused packets. So no byte is forgotten when the egress process or the runner is killed.
 */
export interface RunnerUsageBook extends UsageBook {
  /** Called once, before any sandbox is adopted. Until then nothing is known. */
  follow(parts: UsageParts): void;
}

export function createUsageBook(): RunnerUsageBook {
  let parts: UsageParts | undefined;
  const writeOne = ({ table, network, logger }: UsageParts, { sandboxId, generation, bytes }: SandboxUsage): void => {
    const sandbox = table.find(sandboxId);
    // A late count of an earlier run would replace a newer one. The record of an ending sandbox is about to be removed.
    if (sandbox?.record.generation !== generation || sandbox.record.state === 'ending') return;
    if (!countsBytes(sandbox.record)) return;
    const { deviceBytes } = usageOf(sandbox.record, network);
    table.note(sandbox, { egressUsage: { bytes, deviceBytes, generation } }).catch((err: unknown) => {
      logger.warn({ err, sandboxId }, 'the byte count of a sandbox could not be written yet');
    });
  };
  return {
    follow(given) {
      parts = given;
    },
    read(sandboxIds) {
      const used = new Map<string, number>();
      if (parts === undefined) return used;
      const counters = parts.network.counters();
      for (const sandboxId of sandboxIds) {
        const record = parts.table.find(sandboxId)?.record;
        if (record !== undefined) used.set(sandboxId, usageOf(record, { counters: () => counters }).bytes);
      }
      return used;
    },
    write(usages) {
      if (parts === undefined) return;
      // One write of each record, whatever a process that was taken over sends.
      for (const usage of new Map(usages.map((one) => [one.sandboxId, one])).values()) writeOne(parts, usage);
    },
  };
}

/** Writes down what the sandbox has used, before its interface goes. Never throws. */
export async function settleUsage(
  { table, host: { network, logger } }: { table: SandboxTable; host: Pick<UsageParts, 'network' | 'logger'> },
  sandbox: KnownSandbox,
): Promise<void> {
  const { record } = sandbox;
  if (!countsBytes(record)) return;
  await table.note(sandbox, { egressUsage: usageOf(record, network) }).catch((err: unknown) => {
    logger.warn({ err, sandboxId: record.sandboxId }, 'the byte count of a sandbox could not be written yet');
  });
}

/** The change of a record whose policy begins to count: what has passed before does not count. */
export function beginUsage(network: UsageParts['network'], record: HostRecord): { egressUsage: EgressUsage } {
  const { slot, generation } = record;
  const { bytes } = record.egressUsage ?? noUsage;
  return { egressUsage: { bytes, deviceBytes: deviceBytesOf(network, slot) ?? 0, generation } };
}

/** Whether the policy has a byte limit. */
export function countsBytes({ tenant }: Pick<HostRecord, 'tenant'>): boolean {
  return (tenant?.network.limits?.bytes ?? 0) > 0;
}

/** What it has used at most. */
function usageOf(record: HostRecord, network: UsageParts['network']): EgressUsage {
  const { egressUsage: last = noUsage, generation, slot } = record;
  const deviceBytes = countsBytes(record) ? deviceBytesOf(network, slot) : undefined;
  if (deviceBytes === undefined) return last;
  // Another run has another interface.
  const before = last.generation === generation ? last.deviceBytes : 0;
  return { bytes: last.bytes + Math.max(0, deviceBytes - before), deviceBytes, generation };
}

function deviceBytesOf(network: UsageParts['network'], slot: number): number | undefined {
  const counters = slot === 0 ? undefined : network.counters().get(slot);
  return counters === undefined ? undefined : counters.receivedBytes + counters.sentBytes;
}
