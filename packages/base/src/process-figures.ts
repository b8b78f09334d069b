import { readdir, readFile } from 'node:fs/promises';
import { getHeapStatistics } from 'node:v8';
import { measureLoopLag } from './loop-lag.ts';
import type { LoopLag } from './loop-lag.ts';
import { findProcess } from './process-identity.ts';

/** The figures that only the process itself can measure. */
export interface OwnFigures {
  readonly heapUsedBytes: number;
  /** Undefined if it is not measured. */
  readonly loopLag: ReturnType<LoopLag['read']> | undefined;
}

/** Figures that include the event loop. */
export type MeasuredFigures = ProcessFigures & MeasuredOwn;
type MeasuredOwn = OwnFigures & { readonly loopLag: object };

/** The resources that one process of the server uses. */
export interface ProcessFigures extends OwnFigures {
  readonly residentBytes: number;
  /** Unix time. */
  readonly startTimeSeconds: number;
  readonly openDescriptors: number;
  /** Undefined if there is no limit. */
  readonly maxDescriptors: number | undefined;
  /** Since its start. */
  readonly droppedLogLines: number;
}

/** The figures a supervisor has of its child processes and of itself. */
export interface SupervisedProcesses {
  /** The processes that do not publish their figures themselves. */
  readonly processes: readonly { readonly process: string; readonly figures: ProcessFigures }[];
  /** How often each process was restarted since the start of the server. */
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

/** Measures only the figures that need no file, until `stopping` is aborted. It serves a process without a /proc. */
export function measureOwn(stopping: AbortSignal): () => MeasuredOwn {
  const lag = measureLoopLag(stopping);
  // Not `process.memoryUsage()`, which reads /proc and throws without one.
  return () => ({ heapUsedBytes: getHeapStatistics().used_heap_size, loopLag: lag.read() });
}

/**
 * Completes the figures that a process reported of itself. Undefined if the process is gone. A process of another user
 * needs root.
 */
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

/** USER_HZ. It is 100 on every Linux system that Node.js runs on. */
const ticksPerSecond = 100;

/** The Unix time at which the host started, in seconds: proc_stat(5). */
async function readBootTime(): Promise<number> {
  return Number(/^btime (\d+)$/m.exec(await readFile('/proc/stat', 'utf8'))?.[1] ?? 0);
}
