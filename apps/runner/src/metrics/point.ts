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

// These two run for each sandbox in each second: loops fill their objects, which costs less than entries.

type Draft = { -readonly [K in keyof Point]: Point[K] };

/** `before` is the previous sample of the sandbox. */
export function pointFromSample(sample: Sample, before: Sample | undefined): Point {
  const point = { atMs: sample.atMs, samples: 1 } as Draft;
  for (const name of counters) point[name] = before === undefined ? 0 : Math.max(0, sample[name] - before[name]);
  for (const name of means) point[name] = sample[name];
  for (const name of newest) point[name] = sample[name];
  point.cpuUsedPctMax = sample.cpuUsedPct;
  point.memoryWorkingSetBytesMax = sample.memoryWorkingSetBytes;
  return point;
}

/** Adds the later point to an earlier one, whose time is kept. */
export function mergePoints(earlier: Point, later: Point): Point {
  const samples = earlier.samples + later.samples;
  const merged = { atMs: earlier.atMs } as Draft;
  for (const name of sums) merged[name] = earlier[name] + later[name];
  for (const name of means) merged[name] = (earlier[name] * earlier.samples + later[name] * later.samples) / samples;
  for (const name of maxima) merged[name] = Math.max(earlier[name], later[name]);
  for (const name of newest) merged[name] = later[name];
  return merged;
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
