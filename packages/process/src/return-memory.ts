import { getHeapStatistics } from 'node:v8';

/** How the memory of a process is watched. */
export interface MemoryWatch {
  /** How often a process looks whether it is quiet. Default: 10 s. */
  readonly everyMs?: number;
  /** Time without a collection after one. Default: 5 minutes. */
  readonly restMs?: number;
}

/** A process that used less of a CPU than this since the last look is quiet. */
const quietShare = 0.05;
/** A heap that grew less since the last collection is not worth one. */
const worthBytes = 8 * 2 ** 20;

/**
 * Collects garbage when this process is quiet, so that memory that only its start or a burst needed returns to the
 * host. V8 collects only when a heap is full, so a process that does little would keep that memory for hours. It takes
 * 50 to 140 ms. The flavor is the one that also returns emptied pages: an ordinary collection keeps them. Without the
 * flag `--expose-gc` (node-flags.ts) it does nothing. The timer keeps no process alive.
 */
export function returnUnusedMemory({ everyMs = 10_000, restMs = 300_000 }: MemoryWatch = {}): void {
  const collect = globalThis.gc;
  if (collect === undefined) return;
  let kept = 0;
  let usage = process.cpuUsage();
  let [lookedAt, restsUntil] = [performance.now(), 0];
  setInterval(() => {
    const [used, now] = [process.cpuUsage(usage), performance.now()];
    const share = (used.user + used.system) / 1000 / (now - lookedAt);
    [usage, lookedAt] = [process.cpuUsage(), now];
    if (share > quietShare || now < restsUntil || getHeapStatistics().total_heap_size < kept + worthBytes) return;
    collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    kept = getHeapStatistics().total_heap_size;
    restsUntil = now + restMs;
  }, everyMs).unref();
}
