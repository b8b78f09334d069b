import { setTimeout as sleep } from 'node:timers/promises';
import { SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import type { EgressRecord, EgressRecords } from '@soulbox/contract/egress-record-service';
import { createTokenBucket } from '../policies/token-bucket.ts';
import type { TokenBucket } from '../policies/token-bucket.ts';

/** Maximum records that wait for the control plane. One takes about 500 bytes. */
const waitingMax = 20_000;
const batchMax = 500;
/** How long records wait for more. Milliseconds. */
const gatherDefaultMs = 200;
/** Delays between attempts while the control plane is away. Milliseconds. */
const retryMs = { first: 100, max: 5000 };
/** Records of one sandbox per second on average and at once. More are dropped and counted, so that others find room. */
const recordsPerSecond = 200;
const recordsBurst = 2000;
/** Maximum sandboxes whose rate is known. The one that was quiet for longest is forgotten. */
const ratesMax = 5000;
/** Refused look-ups that differ in nothing are recorded once in this time. Milliseconds. */
const sameMs = 10_000;
/** Maximum different look-ups that are remembered for it. */
const sameMax = 10_000;
/** How long the stop waits for the control plane. Milliseconds. */
const stopMs = 1000;

/** Collects what sandboxes did, and sends it to the control plane in batches. Nothing waits for it. */
export interface ConnectionLog extends AsyncDisposable {
  add(record: EgressRecord): void;
  /** Adds a look-up, unless the same one was added shortly before. */
  addLookup(record: EgressRecord): void;
}

export function createConnectionLog(
  records: Pick<EgressRecords, 'record'>,
  logger: Logger,
  gatherMs = gatherDefaultMs,
): ConnectionLog {
  let waiting: EgressRecord[] = [];
  let dropped = 0;
  const rates = new Map<string, TokenBucket>();
  const seen = new Map<string, number>();
  const stop = new AbortController();
  let wake = (): void => undefined;

  const rateOf = (sandboxId: string): TokenBucket => {
    const rate = rates.get(sandboxId) ?? createTokenBucket(recordsPerSecond, recordsBurst);
    rates.delete(sandboxId);
    rates.set(sandboxId, rate);
    forgetOldest(rates, ratesMax);
    return rate;
  };
  const add = (record: EgressRecord): void => {
    if (waiting.length >= waitingMax || !rateOf(record.sandboxId).tryTake(1)) {
      dropped += 1;
      return;
    }
    waiting.push(record);
    if (waiting.length === 1) wake();
  };
  const send = async (): Promise<void> => {
    const batch = waiting.slice(0, batchMax);
    const reported = dropped;
    try {
      await records.record(batch, reported);
    } catch (error) {
      if (!(error instanceof SoulBoxError && error.reason === 'disk_full')) throw error;
      // The control plane has no room. Waiting would only cost memory here.
      waiting = waiting.slice(batch.length);
      dropped += batch.length;
      throw error;
    }
    waiting = waiting.slice(batch.length);
    dropped -= reported;
  };
  const run = async (): Promise<void> => {
    let delayMs = retryMs.first;
    while (!stop.signal.aborted) {
      if (waiting.length === 0 && dropped === 0) await new Promise<void>((resolve) => (wake = resolve));
      await pause(gatherMs, stop.signal);
      try {
        while (waiting.length > 0 || dropped > 0) await send();
        delayMs = retryMs.first;
      } catch (err) {
        logger.debug({ err, waiting: waiting.length }, 'the control plane did not take the connection log');
        await pause(delayMs, stop.signal);
        delayMs = Math.min(delayMs * 2, retryMs.max);
      }
    }
  };
  const running = run();
  return {
    add,
    addLookup(record) {
      const key = [record.sandboxId, record.name, record.isAllowed, record.reason].join('\n');
      const last = seen.get(key);
      if (last !== undefined && record.startedAtMs - last < sameMs) return;
      seen.delete(key);
      seen.set(key, record.startedAtMs);
      forgetOldest(seen, sameMax);
      add(record);
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      wake();
      await Promise.race([running, sleep(stopMs)]);
      const last = async (): Promise<void> => {
        while (waiting.length > 0 || dropped > 0) await send();
      };
      await Promise.race([last().catch(() => undefined), sleep(stopMs)]);
      if (waiting.length + dropped > 0)
        logger.warn({ records: waiting.length + dropped }, 'records of connections were lost');
    },
  };
}

function forgetOldest(map: Map<string, unknown>, max: number): void {
  if (map.size <= max) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
