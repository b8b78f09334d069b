import type { EgressRecord } from '@soulbox/contract/egress-record-service';

/** Records that wait for the control plane. One takes about 500 bytes. Others are only counted, by sandbox. */
const waitingMax = 20_000;
/** Sandboxes with such a count. */
const sumsMax = 5000;
const batchMax = 500;
/** How often a batch is given before it counts as refused. The control plane asks every 2 s while it fails. */
const givenMax = 100;

/** Connections that the packet filter has judged, until the control plane has recorded them. */
export interface ConnectionQueue {
  add(record: EgressRecord): void;
  /**
   * The next records. `recorded` and `refused` name the batch that the caller has recorded, or cannot record; without
   * either, the last batch is returned again, up to 100 times: one that cannot be sent must not keep the others. Of a
   * refused batch, only the number of connections of each sandbox is kept.
   */
  take(order: { readonly recorded: number; readonly refused: number }): ConnectionBatch;
  /** Resolves when there is something that no batch has yet, or at the abort. */
  untilMore(signal: AbortSignal): Promise<void>;
}

export interface ConnectionBatch {
  readonly number: number;
  readonly records: readonly EgressRecord[];
  /** Records that were lost with their counts. */
  readonly dropped: number;
}

export function createConnectionQueue(): ConnectionQueue {
  let waiting: EgressRecord[] = [];
  /** Of each sandbox, one record that stands for all that could not be kept. */
  const sums = new Map<string, EgressRecord>();
  let dropped = 0;
  // Differs for each life of the runner, so that a number of an earlier one means nothing.
  let next = Date.now();
  let last: ConnectionBatch | undefined;
  let given = 0;
  /** Callers that wait for more. */
  const wakes = new Set<() => void>();
  /** Records of each sandbox that wait. */
  const own = new Map<string, number>();
  const countOwn = (sandboxId: string, more: number): void => {
    const count = (own.get(sandboxId) ?? 0) + more;
    if (count > 0) own.set(sandboxId, count);
    else own.delete(sandboxId);
  };

  const sum = (record: EgressRecord): void => {
    const { sandboxId, teamId, startedAtMs, durationMs, count = 1 } = record;
    const before = sums.get(sandboxId);
    if (before === undefined && sums.size >= sumsMax) {
      dropped += count;
      return;
    }
    const fromMs = Math.min(startedAtMs, before?.startedAtMs ?? startedAtMs);
    const toMs = Math.max(startedAtMs + durationMs, before === undefined ? 0 : before.startedAtMs + before.durationMs);
    sums.set(sandboxId, {
      ...{ sandboxId, teamId, startedAtMs: fromMs, durationMs: toMs - fromMs, protocol: 'other', name: '' },
      ...{ address: '', port: 0, rule: '', isAllowed: true, reason: 'not_logged', method: '', path: '' },
      bytesSent: (before?.bytesSent ?? 0) + record.bytesSent,
      bytesReceived: (before?.bytesReceived ?? 0) + record.bytesReceived,
      count: (before?.count ?? 0) + count,
    });
  };
  return {
    add(record) {
      const { sandboxId } = record;
      // No sandbox takes more than is left for all others: one alone gets half, and so there is always room for the next.
      if ((own.get(sandboxId) ?? 0) >= waitingMax - waiting.length) {
        sum(record);
      } else {
        waiting.push(record);
        countOwn(sandboxId, 1);
      }
      for (const wake of wakes) wake();
    },
    take({ recorded, refused }) {
      if (last !== undefined && recorded !== last.number) {
        if (refused !== last.number && given < givenMax) {
          given += 1;
          return last;
        }
        dropped += last.dropped;
        for (const record of last.records) sum(record);
      }
      given = 1;
      const records = waiting.slice(0, batchMax);
      waiting = waiting.slice(records.length);
      for (const { sandboxId } of records) countOwn(sandboxId, -1);
      // Last, so that they follow the records that were kept before them.
      if (waiting.length === 0) {
        for (const [sandboxId, record] of sums) {
          if (records.length >= batchMax) break;
          records.push(record);
          sums.delete(sandboxId);
        }
      }
      last = { number: next++, records, dropped };
      dropped = 0;
      return last;
    },
    async untilMore(signal) {
      if (waiting.length + sums.size + dropped > 0 || signal.aborted) return;
      const { promise, resolve } = Promise.withResolvers<undefined>();
      const wake = (): void => resolve(undefined);
      wakes.add(wake);
      signal.addEventListener('abort', wake);
      await promise;
      wakes.delete(wake);
      signal.removeEventListener('abort', wake);
    },
  };
}
