import type { Sample } from './sample-ring.ts';

/** Means over the time of a point. */
const means = [
  'cpuUsedPct',
  'memoryRssBytes',
  'memoryCacheBytes',
  'memorySwapBytes',
  'memoryWorkingSetBytes',
  'diskUsedBytes',
] as const;
const maxima = ['cpuUsedPctMax', 'memoryWorkingSetBytesMax'] as const;
const newest = ['memoryLimitBytes', 'diskTotalBytes'] as const;
/** What was used during the time of a point. In a sample these are counters. */
export const counters = [
  'cpuUsedSeconds',
  'diskReadBytes',
  'diskWrittenBytes',
  'networkReceivedBytes',
  'networkSentBytes',
  'networkReceivedPackets',
  'networkSentPackets',
] as const;
const sums = ['samples', ...counters] as const;

/** The figures of one point, in this order in the file. `atMs` is the start of its time. */
export const pointFields = ['atMs', ...sums, ...means, ...maxima, ...newest] as const;

/** What one or many samples say together. Bytes, packets, seconds, percent of one CPU. */
export type Point = Readonly<Record<(typeof pointFields)[number], number>>;

/** `before` is the previous sample of the sandbox. */
export function pointFromSample(sample: Sample, before: Sample | undefined): Point {
  const used = counters.map((name) => [name, before === undefined ? 0 : Math.max(0, sample[name] - before[name])]);
  return {
    ...(Object.fromEntries(used) as Record<(typeof counters)[number], number>),
    ...pick(sample, [...means, ...newest]),
    atMs: sample.atMs,
    samples: 1,
    cpuUsedPctMax: sample.cpuUsedPct,
    memoryWorkingSetBytesMax: sample.memoryWorkingSetBytes,
  };
}

/** Adds the later point to an earlier one, whose time is kept. */
export function mergePoints(earlier: Point, later: Point): Point {
  const samples = earlier.samples + later.samples;
  const each = <K extends keyof Point>(names: readonly K[], of: (name: K) => number): Record<K, number> =>
    Object.fromEntries(names.map((name) => [name, of(name)])) as Record<K, number>;
  return {
    atMs: earlier.atMs,
    ...each(sums, (name) => earlier[name] + later[name]),
    ...each(means, (name) => (earlier[name] * earlier.samples + later[name] * later.samples) / samples),
    ...each(maxima, (name) => Math.max(earlier[name], later[name])),
    ...pick(later, newest),
  };
}

/** The start of the step in which a time lies. Steps begin at the Unix epoch. */
export const stepOf = (atMs: number, stepMs: number): number => Math.floor(atMs / stepMs) * stepMs;

/** Merges all points of the same step. `points` are in order of time. */
export function mergeBySteps(points: Iterable<Point>, stepMs: number): Point[] {
  const merged: Point[] = [];
  for (const point of points) {
    const atMs = stepOf(point.atMs, stepMs);
    const last = merged.at(-1);
    if (last?.atMs === atMs) merged[merged.length - 1] = mergePoints(last, point);
    else merged.push({ ...point, atMs });
  }
  return merged;
}

function pick<K extends string>(from: Readonly<Record<K, number>>, names: readonly K[]): Record<K, number> {
  return Object.fromEntries(names.map((name) => [name, from[name]])) as Record<K, number>;
}
