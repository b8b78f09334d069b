import { SoulBoxError } from '@soulbox/base';
import type { Log } from './log.ts';
import { recordOfLeaf } from './record.ts';
import type { AuditPosition } from './record.ts';

/** A record that was committed and is not in the log yet. */
export interface PendingRecord extends AuditPosition {
  readonly leaf: string;
}

/** Where committed records wait for the log. */
export interface PendingRecords {
  /** The waiting records from an index on, in order. */
  next(from: number, limit: number): Promise<PendingRecord[]>;
  /** The log has all records below this index: they need not wait any more. */
  settle(size: number): Promise<void>;
}

export interface Sequencer {
  /**
   * Moves waiting records into the log, at most `batchMax`, and publishes one checkpoint. Returns how many. Calls must
   * not overlap. Throws `state_damaged`, and publishes nothing, if a record is missing.
   */
  step(): Promise<number>;
}

/** Limit of the records that one checkpoint adds. */
export const batchMax = 20_000;

/** Takes records in the order in which they were committed. */
export async function createSequencer(log: Log, pending: PendingRecords): Promise<Sequencer> {
  let last = await readLast(log);
  // After a crash between the checkpoint and this step, they are still waiting.
  await pending.settle(log.checkpoint.size);
  return {
    async step() {
      const records = await pending.next(log.checkpoint.size, batchMax);
      if (records.length === 0) return 0;
      let [before, seq] = [last, log.checkpoint.size];
      for (const record of records) {
        checkNext(log.origin, record, seq, before);
        before = record;
        seq += 1;
      }
      await log.append(records.map(({ leaf }) => Buffer.from(leaf)));
      last = before;
      await pending.settle(log.checkpoint.size);
      return records.length;
    },
  };
}

/** The newest record of the log; undefined for an empty or completely pruned one. */
async function readLast(log: Log): Promise<AuditPosition | undefined> {
  const [leaf] = await log.readEntries(log.checkpoint.size - 1, log.checkpoint.size);
  return leaf === undefined ? undefined : recordOfLeaf(leaf);
}

/** A new writer starts at 0. */
function checkNext(origin: string, record: AuditPosition, seq: number, before: AuditPosition | undefined): void {
  const isFirst = before === undefined || before.writer !== record.writer;
  const wanted = isFirst ? 0 : before.writerSeq + 1;
  if (record.seq === seq && (record.writerSeq === wanted || (before === undefined && seq > 0))) return;
  throw new SoulBoxError(
    'state_damaged',
    `The log ${origin} misses a record: it has ${seq} and continues with record ${record.seq}, number ${record.writerSeq} of its writer instead of ${wanted}.`,
  );
}
