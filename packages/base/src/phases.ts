import { AsyncLocalStorage } from 'node:async_hooks';
import { withSpan } from './spans.ts';

/**
 * Where the time of one operation was spent. The phases together never take longer than the operation; the rest lies
 * between them.
 */
export interface OperationTimes {
  readonly durationMs: number;
  /** Milliseconds by name, in the order in which the phases began. */
  readonly phases: Readonly<Record<string, number>>;
}

/** The times of an operation with its name. */
export interface MeasuredOperation extends OperationTimes {
  readonly operation: string;
}

/** A histogram of the durations of one phase of an operation, since the start of this process. */
export interface PhaseFigures {
  readonly operation: string;
  readonly phase: string;
  /** One count per bound in `phaseBoundsSeconds`: observations up to that bound and above the previous one. */
  readonly counts: readonly number[];
  readonly total: number;
  readonly sumSeconds: number;
}

/** A warm create takes 10 to 50 ms; a build takes minutes. */
export const phaseBoundsSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60] as const;

/** The name that stands for the whole operation among its phases. No phase may have this name. */
export const wholeOperation = 'total';

interface Course {
  readonly operation: string;
  begin(name: string): () => void;
}

const current = new AsyncLocalStorage<Course>();
const collected = new AsyncLocalStorage<MeasuredOperation[]>();
/** Operations that are collected for one caller. A fork into 100 sandboxes measures each. */
const collectedMax = 128;
const figures = new Map<
  string,
  { operation: string; phase: string; counts: number[]; total: number; sumSeconds: number }
>();

/**
 * Runs an operation whose parts are measured by `phase`. Calling `finish` ends the measurement, returns the times for
 * the log and counts them for the metrics. An operation that fails before `finish` is not counted, because it would
 * make others look fast.
 *
 * An operation inside another one is measured by itself. The outer one sees only the phase in which it waits. Each
 * operation and each phase is also a span of the current trace.
 */
export async function measureOperation<T>(
  operation: string,
  work: (finish: () => OperationTimes) => Promise<T>,
  now: () => number = () => performance.now(),
): Promise<T> {
  const { course, finish } = createCourse(operation, now);
  return await withSpan(
    { name: operation, isOperation: true },
    async () => await current.run(course, async () => await work(finish)),
  );
}

/**
 * Runs a part of the current operation, if there is one. Where phases overlap, the time belongs to the one that began
 * last: to the inner one of two nested phases, and to the later one of two parallel phases.
 */
export async function phase<T>(name: string, work: () => Promise<T>): Promise<T> {
  const course = current.getStore();
  if (course === undefined) return await work();
  const end = course.begin(name);
  try {
    return await withSpan({ name: `${course.operation}.${name}` }, work);
  } finally {
    end();
  }
}

/**
 * The operations that `work` measured and finished before it returned, also those inside others, in the order of their
 * ends.
 */
export async function collectOperations<T>(
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly operations: readonly MeasuredOperation[] }> {
  const operations: MeasuredOperation[] = [];
  const result = await collected.run(operations, work);
  // What goes on afterwards adds to the original.
  return { result, operations: [...operations] };
}

export function readPhaseFigures(): PhaseFigures[] {
  return [...figures.values()].map((entry) => ({ ...entry, counts: [...entry.counts] }));
}

function createCourse(operation: string, now: () => number): { course: Course; finish: () => OperationTimes } {
  const startedAt = now();
  const spentMs = new Map<string, number>();
  const open: { readonly name: string }[] = [];
  let countedUntil = startedAt;
  let times: OperationTimes | undefined;
  const countSoFar = (): void => {
    const at = now();
    const innermost = open.at(-1);
    if (innermost !== undefined) spentMs.set(innermost.name, (spentMs.get(innermost.name) ?? 0) + at - countedUntil);
    countedUntil = at;
  };
  const course: Course = {
    operation,
    begin(name) {
      countSoFar();
      const one = { name };
      open.push(one);
      if (!spentMs.has(name)) spentMs.set(name, 0);
      return () => {
        countSoFar();
        open.splice(open.indexOf(one), 1);
      };
    },
  };
  const finish = (): OperationTimes => {
    if (times !== undefined) return times;
    countSoFar();
    const durationMs = countedUntil - startedAt;
    observe(operation, wholeOperation, durationMs);
    for (const [name, ms] of spentMs) observe(operation, name, ms);
    times = {
      durationMs: Math.round(durationMs),
      phases: Object.fromEntries([...spentMs].map(([name, ms]) => [name, Math.round(ms * 10) / 10])),
    };
    const list = collected.getStore();
    if (list !== undefined && list.length < collectedMax) list.push({ operation, ...times });
    return times;
  };
  return { course, finish };
}

function observe(operation: string, phaseName: string, ms: number): void {
  const id = `${operation} ${phaseName}`;
  const entry = figures.get(id) ?? {
    ...{ operation, phase: phaseName, total: 0, sumSeconds: 0 },
    counts: phaseBoundsSeconds.map(() => 0),
  };
  figures.set(id, entry);
  const seconds = ms / 1000;
  const bucket = phaseBoundsSeconds.findIndex((bound) => seconds <= bound);
  if (bucket >= 0) entry.counts[bucket] = (entry.counts[bucket] ?? 0) + 1;
  entry.total += 1;
  entry.sumSeconds += seconds;
}
