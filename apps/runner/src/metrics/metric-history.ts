import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createMetricFile } from './metric-file.ts';
import type { Section } from './metric-file.ts';
import { counters, mergePoints, pointFields, pointFromSample, stepOf } from './point.ts';
import type { Point } from './point.ts';
import { sampleFields } from './sample-ring.ts';
import type { Sample } from './sample-ring.ts';

/** Seconds of half an hour: 239 KiB. */
export const seconds: Section<keyof Sample> = { fields: sampleFields, stepMs: 1000, slots: 1800 };
/** Minutes of a day: 225 KiB. */
export const minutes: Section<keyof Point> = { fields: pointFields, stepMs: 60_000, slots: 1440 };
/** Hours of 30 days: 113 KiB. */
export const hours: Section<keyof Point> = { fields: pointFields, stepMs: 3_600_000, slots: 720 };

/** Merged points are kept in this form. */
export type Merged = typeof minutes;

/** A server that is killed loses this much of the history of a sandbox. */
const flushEveryMs = 10_000;
/** The same if the sandbox did nothing, and up to ten seconds more, because its samples come late (series.ts). */
const flushIdleEveryMs = 50_000;

/** What a sandbox has used, also before the present life of the runner. */
export interface MetricHistory {
  /** Seconds of an earlier life of the runner, oldest first. Called once, before the first `push`. */
  load(): Promise<Sample[]>;
  push(sample: Sample): void;
  /** Minutes or hours between two times, oldest first. The last one may be incomplete. */
  read(section: Merged, fromMs: number, toMs: number): Promise<Point[]>;
  /** True when the last write is long enough ago. */
  isDue(nowMs: number): boolean;
  /** Writes what is not on the disk yet. After a failure the next call tries again. */
  flush(nowMs: number): Promise<void>;
  /** Removes the file. Nothing is written to it afterwards. */
  remove(): Promise<void>;
}

/** The folder with the histories of all sandboxes. */
export interface MetricFolder {
  historyOf(sandboxId: string, nowMs: () => number): MetricHistory;
  /** Removes the histories of all sandboxes that are not named. */
  keepOnly(sandboxIds: ReadonlySet<string>): Promise<void>;
}

export async function openMetricFolder(directory: string): Promise<MetricFolder> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return {
    historyOf: (sandboxId, nowMs) => createMetricHistory(join(directory, sandboxId), nowMs),
    async keepOnly(sandboxIds) {
      for (const name of await readdir(directory))
        if (!sandboxIds.has(name)) await rm(join(directory, name), { force: true });
    },
  };
}

function createMetricHistory(path: string, nowMs: () => number): MetricHistory {
  const file = createMetricFile(path, [seconds, minutes, hours]);
  const merging = [createMerging(minutes), createMerging(hours)];
  let before: Sample | undefined;
  let unwritten: Sample[] = [];
  let flushedAtMs: number | undefined;
  /** Something of `unwritten` was used after `flushedAtMs`. */
  let hasNews = false;
  let writing = Promise.resolve();
  let isRemoved = false;

  const writeAll = async (): Promise<void> => {
    if (isRemoved || unwritten.length === 0) return;
    const samples = unwritten;
    unwritten = [];
    hasNews = false;
    const taken = merging.map((one) => one.take());
    try {
      await file.write([[seconds, samples], ...taken.map(({ section, points }) => [section, points] as const)]);
    } catch (error) {
      hasNews = true;
      unwritten = [...samples, ...unwritten].slice(-seconds.slots);
      for (const one of taken) one.giveBack();
      throw error;
    }
  };

  return {
    async load() {
      const samples = await file.read(seconds, nowMs());
      for (const one of merging) one.continueFrom((await file.read(one.section, nowMs())).at(-1));
      before = samples.at(-1);
      return samples;
    },
    push(sample) {
      const point = pointFromSample(sample, before);
      before = sample;
      hasNews ||= counters.some((name) => point[name] > 0);
      unwritten.push(sample);
      flushedAtMs ??= sample.atMs;
      if (unwritten.length > seconds.slots) unwritten.shift();
      for (const one of merging) one.add(point);
    },
    async read(section, fromMs, toMs) {
      // What is being written is neither in the file nor in memory.
      await writing;
      const byTime = new Map((await file.read(section, nowMs())).map((point) => [point.atMs, point]));
      const own = merging.find((one) => one.section === section);
      for (const point of own?.unwritten() ?? []) byTime.set(point.atMs, point);
      return [...byTime.values()]
        .filter(({ atMs }) => atMs >= stepOf(fromMs, section.stepMs) && atMs <= toMs)
        .sort((one, other) => one.atMs - other.atMs);
    },
    isDue: (atMs) => {
      const everyMs = hasNews ? flushEveryMs : flushIdleEveryMs;
      return unwritten.length > 0 && Math.abs(atMs - (flushedAtMs ?? atMs)) >= everyMs;
    },
    async flush(atMs) {
      flushedAtMs = atMs;
      const done = writing.then(writeAll);
      writing = done.catch(() => undefined);
      await done;
    },
    async remove() {
      isRemoved = true;
      await writing;
      await rm(path, { force: true });
    },
  };
}

interface Merging {
  readonly section: Merged;
  /** Adds to the last point of an earlier life. */
  continueFrom(point: Point | undefined): void;
  add(point: Point): void;
  /** Points to write. They count as written, except the newest, which may still grow. */
  take(): { readonly section: Merged; readonly points: readonly Point[]; giveBack(): void };
  unwritten(): readonly Point[];
}

function createMerging(section: Merged): Merging {
  /** In order of time. Only the last one grows. */
  let points: Point[] = [];
  return {
    section,
    continueFrom(point) {
      if (point !== undefined) points = [point];
    },
    add(point) {
      const atMs = stepOf(point.atMs, section.stepMs);
      const last = points.at(-1);
      if (last?.atMs === atMs) points[points.length - 1] = mergePoints(last, point);
      else points.push({ ...point, atMs });
      if (points.length > section.slots) points.shift();
    },
    take() {
      const taken = points;
      points = points.slice(-1);
      return {
        section,
        points: taken,
        giveBack: () => {
          points = [...taken.slice(0, -1), ...points].slice(-section.slots);
        },
      };
    },
    unwritten: () => points,
  };
}
