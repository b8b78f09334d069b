import { readdir, readFile } from 'node:fs/promises';
import { measureLoopLag } from './loop-lag.ts';
import type { LoopLag } from './loop-lag.ts';

/** What one process of the server takes of the host. */
export interface ProcessFigures {
  readonly residentBytes: number;
  readonly heapUsedBytes: number;
  /** Unix time. */
  readonly startTimeSeconds: number;
  readonly openDescriptors: number;
  /** Infinity when it may have as many as it likes. */
  readonly maxDescriptors: number;
  readonly loopLag: ReturnType<LoopLag['read']>;
  /** Since its start. */
  readonly droppedLogLines: number;
}

/** Measures this process until `stopping` is aborted. */
export function measureProcess(stopping: AbortSignal, droppedLogLines: () => number): () => Promise<ProcessFigures> {
  const lag = measureLoopLag(stopping);
  return async () => {
    const { rss, heapUsed } = process.memoryUsage();
    const limits = await readFile('/proc/self/limits', 'utf8');
    const most = /^Max open files\s+(\S+)/m.exec(limits)?.[1] ?? 'unlimited';
    return {
      residentBytes: rss,
      heapUsedBytes: heapUsed,
      startTimeSeconds: Math.round(performance.timeOrigin) / 1000,
      openDescriptors: (await readdir('/proc/self/fd')).length,
      maxDescriptors: most === 'unlimited' ? Infinity : Number(most),
      loopLag: lag.read(),
      droppedLogLines: droppedLogLines(),
    };
  };
}
