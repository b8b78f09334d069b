import type { ResourceSample, SandboxInstance } from '@soulbox/isolation';
import type { NetworkCounters } from '@soulbox/network';
import type { Live, TenantSandbox } from '../registry/table.ts';
import { seconds } from './metric-history.ts';
import type { MetricHistory } from './metric-history.ts';
import { counters } from './point.ts';
import { createSampleRing } from './sample-ring.ts';
import type { Sample } from './sample-ring.ts';

export const intervalMs = 1000;
/**
 * While no process of a sandbox runs, its figures are those of the sample before. They are read again after this time,
 * because the kernel may have written out or dropped cached data.
 */
const readAgainMs = 10_000;

export interface Taken {
  /** The kernel's counters, which start at 0 with every restore. */
  readonly used: ResourceSample;
  readonly sample: Sample;
  /**
   * Nothing has run and no packet has passed since the last sample, which this is. Most sandboxes are idle most of the
   * time, so their seconds are filled in when somebody asks for them.
   */
  readonly isSame: boolean;
}

/** The samples of one sandbox. */
export interface Series {
  readonly sandbox: TenantSandbox;
  readonly history: MetricHistory;
  /** Takes a sample of its processes. `traffic`: undefined if it was not read. Throws if the processes have ended. */
  take(live: Live, traffic: NetworkCounters | undefined, atMs: number): Taken;
  /** Makes the next `take` read everything. */
  readAgain(): void;
  /** Adds the seconds since the last sample in which nothing has happened. */
  fillIn(): void;
  newest(): Sample | undefined;
  range(fromMs: number, toMs: number): Sample[];
  /** Reads the samples of an earlier life of the runner. Called once, before the first `take`. */
  load(): Promise<void>;
}

type Counter = (typeof counters)[number];
type KernelCounters = Partial<Record<Counter, number | undefined>>;

const nothing = Object.fromEntries(counters.map((name) => [name, 0])) as Record<Counter, number>;
const trafficFields = {
  networkReceivedBytes: 'receivedBytes',
  networkSentBytes: 'sentBytes',
  networkReceivedPackets: 'receivedPackets',
  networkSentPackets: 'sentPackets',
} as const;
const trafficCounters = Object.entries(trafficFields) as [keyof typeof trafficFields, keyof NetworkCounters][];

export function createSeries(sandbox: TenantSandbox, history: MetricHistory, isNew: boolean): Series {
  const ring = createSampleRing(seconds.slots);
  let newest: Sample | undefined;
  // The kernel's counters at the last sample. Undefined: the next sample is where counting begins. A spare has sent
  // nothing before it got its tenant.
  let kernel: KernelCounters = isNew ? nothing : {};
  /** Of the processes to which `kernel` belongs. */
  let { generation } = sandbox.record;
  /** What was read of its processes, which are those of the instance. */
  let reading: { readonly instance: SandboxInstance; readonly used: ResourceSample; readonly atMs: number } | undefined;
  /** Nothing has changed from the newest sample until then. */
  let sameUntilMs = -Infinity;

  const push = (sample: Sample): void => {
    newest = sample;
    ring.push(sample);
    history.push(sample);
  };

  /** There are at most ten: a reading is not older. */
  const fillIn = (): void => {
    const from = newest;
    if (from === undefined) return;
    for (let atMs = from.atMs + intervalMs; atMs < sameUntilMs + intervalMs / 2; atMs += intervalMs)
      push({ ...from, cpuUsedPct: 0, atMs: Math.min(atMs, sameUntilMs) });
    sameUntilMs = -Infinity;
  };

  const hasTraffic = (traffic: NetworkCounters | undefined): boolean =>
    traffic !== undefined && trafficCounters.some(([name, field]) => traffic[field] !== kernel[name]);

  /**
   * CPU use is the growth of the counter since the previous sample. 100 means one CPU all the time. The kernel's counters
   * start at 0 with every restore; those of the samples continue.
   */
  const toSample = (atMs: number, used: ResourceSample, traffic: NetworkCounters | undefined): Sample => {
    const before = newest;
    const isSame = generation === sandbox.record.generation;
    if (!isSame) ({ generation } = sandbox.record);
    const last = isSame ? kernel : nothing;
    const { cpuUsedSeconds, diskReadBytes, diskWrittenBytes } = used;
    const now: KernelCounters = { cpuUsedSeconds, diskReadBytes, diskWrittenBytes };
    for (const [name, field] of trafficCounters) now[name] = traffic?.[field];
    const sums = {} as Record<Counter, number>;
    for (const name of counters) {
      const [value, then] = [now[name], last[name]];
      const growth = value === undefined || then === undefined ? 0 : Math.max(0, value - then);
      sums[name] = before === undefined ? (value ?? 0) : before[name] + growth;
      now[name] ??= then;
    }
    kernel = now;
    const elapsedSeconds = before === undefined || !isSame ? 0 : (atMs - before.atMs) / 1000;
    const cpuSeconds = before === undefined ? 0 : sums.cpuUsedSeconds - before.cpuUsedSeconds;
    return { ...used, ...sums, atMs, cpuUsedPct: elapsedSeconds <= 0 ? 0 : (100 * cpuSeconds) / elapsedSeconds };
  };

  return {
    sandbox,
    history,
    take({ driver, instance }, traffic, atMs) {
      const isFresh = reading?.instance === instance && Math.abs(atMs - reading.atMs) < readAgainMs;
      const known = isFresh && driver.readCpuUsed(instance) === reading?.used.cpuUsedSeconds ? reading : undefined;
      // A pause leaves a gap.
      const isNext = newest !== undefined && atMs - Math.max(newest.atMs, sameUntilMs) < 2 * intervalMs;
      if (known !== undefined && newest !== undefined && isNext && !hasTraffic(traffic)) {
        sameUntilMs = atMs;
        return { used: known.used, sample: newest, isSame: true };
      }
      const used = known?.used ?? driver.sample(instance);
      reading = known ?? { instance, used, atMs };
      fillIn();
      const sample = toSample(atMs, used, traffic);
      push(sample);
      return { used, sample, isSame: false };
    },
    readAgain() {
      reading = undefined;
    },
    fillIn,
    newest() {
      fillIn();
      return newest;
    },
    range(fromMs, toMs) {
      fillIn();
      return ring.range(fromMs, toMs);
    },
    async load() {
      for (const sample of await history.load()) ring.push((newest = sample));
    },
  };
}
