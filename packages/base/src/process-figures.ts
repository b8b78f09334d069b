import { readdir, readFile } from 'node:fs/promises';
import { getHeapStatistics } from 'node:v8';
import { measureLoopLag } from './loop-lag.ts';
import type { LoopLag } from './loop-lag.ts';
import { findProcess } from './process-identity.ts';

/** What a process knows of itself and nobody else does. */
export interface OwnFigures {
  readonly heapUsedBytes: number;
  /** Undefined: it is not measured. */
  readonly loopLag: ReturnType<LoopLag['read']> | undefined;
}

/** With its event loop. */
export type MeasuredFigures = ProcessFigures & MeasuredOwn;
type MeasuredOwn = OwnFigures & { readonly loopLag: object };

/** What one process of the server takes of the host. */
export interface ProcessFigures extends OwnFigures {
  readonly residentBytes: number;
  /** Unix time. */
  readonly startTimeSeconds: number;
  readonly openDescriptors: number;
  /** Undefined when it may have as many as it likes. */
  readonly maxDescriptors: number | undefined;
  /** Since its start. */
  readonly droppedLogLines: number;
}

/** What a supervisor knows of the processes below it, itself included. */
export interface SupervisedProcesses {
  /** Those that do not show their figures themselves. */
  readonly processes: readonly { readonly process: string; readonly figures: ProcessFigures }[];
  /** How often each was started again since the start of the server. */
  readonly restarts: readonly { readonly process: string; readonly count: number }[];
}

/** Measures this process until `stopping` is aborted. */
export function measureProcess(stopping: AbortSignal, droppedLogLines: () => number): () => Promise<MeasuredFigures> {
  const own = measureOwn(stopping);
  return async () => {
    const figures = await measureOther(process.pid, own(), droppedLogLines());
    if (figures === undefined) throw new Error('/proc is not mounted');
    return figures;
  };
}

/** Measures what needs no file, until `stopping` is aborted: for a process without a /proc. */
export function measureOwn(stopping: AbortSignal): () => MeasuredOwn {
  const lag = measureLoopLag(stopping);
  // Not `process.memoryUsage()`, which reads /proc and throws without one.
  return () => ({ heapUsedBytes: getHeapStatistics().used_heap_size, loopLag: lag.read() });
}

/** The figures of a process that has told what it knows of itself. Undefined when it is gone. Another user's needs root. */
export async function measureOther<Own extends OwnFigures>(
  pid: number,
  own: Own,
  droppedLogLines: number,
): Promise<(ProcessFigures & Own) | undefined> {
  const identity = findProcess(pid);
  if (identity === undefined) return undefined;
  const read = async (name: string): Promise<string> => await readFile(`/proc/${pid}/${name}`, 'utf8');
  try {
    const [status, limits, descriptors, bootTime] = await Promise.all([
      read('status'),
      read('limits'),
      readdir(`/proc/${pid}/fd`),
      readBootTime(),
    ]);
    const most = /^Max open files\s+(\S+)/m.exec(limits)?.[1] ?? 'unlimited';
    return {
      ...own,
      residentBytes: Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024,
      startTimeSeconds: bootTime + identity.startTicks / ticksPerSecond,
      openDescriptors: descriptors.length,
      maxDescriptors: most === 'unlimited' ? undefined : Number(most),
      droppedLogLines,
    };
  } catch {
    return undefined;
  }
}

/** USER_HZ, which is 100 on every system that Linux runs on with Node.js. */
const ticksPerSecond = 100;

/** Unix time of the start of the host, in seconds: proc_stat(5). */
async function readBootTime(): Promise<number> {
  return Number(/^btime (\d+)$/m.exec(await readFile('/proc/stat', 'utf8'))?.[1] ?? 0);
}
