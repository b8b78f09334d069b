import type { Clock, Logger } from '@soulbox/base';
import type { ResourceSample } from '@soulbox/isolation';
import type { NetworkCounters, Network } from '@soulbox/network';
import type { Usage } from './activity.ts';
import type { Consumption } from './consumption.ts';
import type { TenantSandbox } from '../registry/table.ts';
import { hours, minutes, seconds } from './metric-history.ts';
import type { MetricFolder, MetricHistory } from './metric-history.ts';
import { counters, mergeBySteps, pointFromSample } from './point.ts';
import type { Point } from './point.ts';
import { createSampleRing } from './sample-ring.ts';
import type { Sample, SampleRing } from './sample-ring.ts';

const intervalMs = 1000;
/** Sandboxes sampled at the same time: enough to hide a slow one, few enough to spread the work. */
const concurrency = 8;
/** A round works for 3 ms, then others have 4 ms: samples of 500 sandboxes take 80 ms, and creates would wait for them. */
const stretchMs = 3;
const breakMs = 4;
/** A round waits this long for one sandbox. Otherwise a hanging sandbox for each worker would hold up all others. */
const patienceMs = 250;

/** The resource use of a sandbox at one moment. */
export interface Metric extends Sample {
  readonly cpuCount: number;
}

export interface SandboxMetrics extends AsyncDisposable {
  /** Samples a sandbox from now on. Called again after a pause. */
  add(sandbox: TenantSandbox): void;
  /** The same for a sandbox that an earlier runner has started. */
  adopt(sandbox: TenantSandbox): void;
  /** Takes one more sample, before the counters of its processes go. Never throws, and waits for nothing before it. */
  sampleLast(sandboxId: string): Promise<void>;
  /** Stops sampling and removes the history. Never throws. */
  remove(sandboxId: string): void;
  latest(sandboxId: string): Metric | undefined;
  /** Samples between two times in milliseconds since the epoch, both included, oldest first. */
  range(sandboxId: string, fromMs: number, toMs: number): Metric[];
  /**
   * Merged samples, one point for each step in which there was a sample, oldest first. Steps of less than a minute go
   * back half an hour, those of less than an hour a day, longer ones 30 days.
   */
  points(sandboxId: string, fromMs: number, toMs: number, stepMs: number): Promise<Point[]>;
}

interface Series {
  readonly sandbox: TenantSandbox;
  readonly ring: SampleRing;
  readonly history: MetricHistory;
  /** The newest sample of the ring. */
  newest: Sample | undefined;
  /** The kernel's counters at the last sample. Undefined: the next sample is where counting begins. */
  kernel: KernelCounters;
  /** Of the processes to which `kernel` belongs. */
  generation: string;
  /** A sample that takes longer than a second is not started twice. */
  busy: boolean;
}

type Counter = (typeof counters)[number];
type KernelCounters = Partial<Record<Counter, number | undefined>>;

const nothing = Object.fromEntries(counters.map((name) => [name, 0])) as Record<Counter, number>;

/** Samples every sandbox of a tenant once a second. A failing or slow one does not delay others. */
export function createSandboxMetrics(options: {
  /** Called for every sample. */
  observe: (sandboxId: string, usage: Usage) => void;
  consumption: Pick<Consumption, 'begin' | 'observe'>;
  network: Pick<Network, 'counters'>;
  folder: MetricFolder;
  clock: Clock;
  logger: Logger;
}): SandboxMetrics {
  const { observe, consumption, network, folder, clock, logger } = options;
  const all = new Map<string, Series>();
  let loading = Promise.resolve();

  const sampleOne = async (series: Series, traffic: ReadonlyMap<number, NetworkCounters>): Promise<void> => {
    const { record, live } = series.sandbox;
    if (series.busy || live === undefined) return;
    series.busy = true;
    try {
      const used = await live.driver.sample(live.instance);
      consumption.observe(record, used.cpuUsedSeconds, traffic.get(record.slot)?.sentBytes);
      const sample = toSample(clock.now(), series, used, traffic.get(record.slot));
      series.newest = sample;
      series.ring.push(sample);
      series.history.push(sample);
      observe(record.sandboxId, { ...usageFrom(sample), idleCpus: live.driver.idleCpus });
    } catch (err) {
      // A sandbox that has just ended has no figures any more.
      logger.debug({ sandboxId: record.sandboxId, err }, 'metrics of a sandbox could not be read');
    } finally {
      series.busy = false;
    }
  };

  const round = async (): Promise<void> => {
    if (all.size === 0) return;
    const traffic = network.counters();
    const waiting = [...all.values()];
    const patience = Promise.withResolvers<undefined>();
    const patienceTimer = setTimeout(patience.resolve, patienceMs, undefined);
    let stretchEndsAt = performance.now() + stretchMs;
    const worker = async (): Promise<void> => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        await Promise.race([sampleOne(next, traffic), patience.promise]);
        if (performance.now() < stretchEndsAt) continue;
        await new Promise<void>((resolve) => setTimeout(resolve, breakMs));
        stretchEndsAt = performance.now() + stretchMs;
      }
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
    clearTimeout(patienceTimer);
    // Those that write wait for the disk, those that sample do not.
    const due = [...all.values()].filter(({ history }) => history.isDue(clock.now()));
    await Promise.all(due.map(async (series) => await flush(series)));
  };

  const flush = async ({ sandbox, history }: Series): Promise<void> => {
    try {
      await history.flush(clock.now());
    } catch (err) {
      logger.warn({ sandboxId: sandbox.record.sandboxId, err }, 'metrics of a sandbox could not be written');
    }
  };

  const timer = setInterval(() => {
    round().catch((err: unknown) => {
      logger.error({ err }, 'metrics round failed');
    });
  }, intervalMs);

  const load = async (series: Series): Promise<void> => {
    const { sandbox, ring, history } = series;
    try {
      for (const sample of await history.load()) ring.push((series.newest = sample));
    } catch (err) {
      logger.warn({ sandboxId: sandbox.record.sandboxId, err }, 'earlier metrics of a sandbox could not be read');
    }
  };

  const createSeries = (sandbox: TenantSandbox, isNew: boolean): Series => {
    const { sandboxId, generation } = sandbox.record;
    return {
      sandbox,
      ring: createSampleRing(seconds.slots),
      newest: undefined,
      history: folder.historyOf(sandboxId, () => clock.now()),
      // A spare has sent nothing before it got its tenant.
      kernel: isNew ? nothing : {},
      generation,
      busy: false,
    };
  };

  const start = (sandbox: TenantSandbox, isNew: boolean): void => {
    const { sandboxId } = sandbox.record;
    consumption.begin(sandbox, isNew);
    const known = all.get(sandboxId);
    const series = known ?? createSeries(sandbox, isNew);
    all.set(sandboxId, series);
    // Clients ask right after the create, so the first sample does not wait for the next round. It reads seven files, so
    // it is taken after the response to the create has been sent.
    const sampleFirst = (): void => void setImmediate(() => void sampleOne(series, new Map()));
    if (known !== undefined || isNew) {
      sampleFirst();
      return;
    }
    series.busy = true;
    // One after the other: a server may have thousands of sandboxes.
    loading = loading.then(async () => {
      await load(series);
      series.busy = false;
      sampleFirst();
    });
  };

  const secondsOf = (series: Series, fromMs: number, toMs: number): Point[] => {
    // The growth of the counters needs the sample before the first one.
    const samples = series.ring.range(fromMs - 2 * intervalMs, toMs);
    return samples.map((sample, at) => pointFromSample(sample, samples[at - 1])).filter(({ atMs }) => atMs >= fromMs);
  };

  return {
    add: (sandbox) => start(sandbox, true),
    adopt: (sandbox) => start(sandbox, false),
    async sampleLast(sandboxId) {
      const series = all.get(sandboxId);
      if (series !== undefined) await sampleOne(series, network.counters());
    },
    remove(sandboxId) {
      const series = all.get(sandboxId);
      if (!all.delete(sandboxId)) return;
      series?.history.remove().catch((err: unknown) => {
        logger.warn({ sandboxId, err }, 'metrics of an ended sandbox could not be removed');
      });
    },
    latest(sandboxId) {
      const series = all.get(sandboxId);
      return series?.newest === undefined ? undefined : toMetric(series.sandbox, series.newest);
    },
    range(sandboxId, fromMs, toMs) {
      const series = all.get(sandboxId);
      if (series === undefined) return [];
      return series.ring.range(fromMs, toMs).map((sample) => toMetric(series.sandbox, sample));
    },
    async points(sandboxId, fromMs, toMs, stepMs) {
      const series = all.get(sandboxId);
      if (series === undefined) return [];
      if (stepMs < minutes.stepMs) return mergeBySteps(secondsOf(series, fromMs, toMs), stepMs);
      const section = stepMs < hours.stepMs ? minutes : hours;
      return mergeBySteps(await series.history.read(section, fromMs, toMs), stepMs);
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await Promise.all([...all.values()].map(flush));
    },
  };
}

/**
 * CPU use is the growth of the counter since the previous sample. 100 means one CPU all the time. The kernel's counters
 * start at 0 with every restore; those of the samples continue.
 */
function toSample(atMs: number, series: Series, used: ResourceSample, traffic: NetworkCounters | undefined): Sample {
  const before = series.newest;
  const { generation } = series.sandbox.record;
  const isSame = generation === series.generation;
  if (!isSame) Object.assign(series, { generation, kernel: nothing });
  const kernel: KernelCounters = {
    cpuUsedSeconds: used.cpuUsedSeconds,
    diskReadBytes: used.diskReadBytes,
    diskWrittenBytes: used.diskWrittenBytes,
    networkReceivedBytes: traffic?.receivedBytes,
    networkSentBytes: traffic?.sentBytes,
    networkReceivedPackets: traffic?.receivedPackets,
    networkSentPackets: traffic?.sentPackets,
  };
  const last = series.kernel;
  const sums = {} as Record<Counter, number>;
  for (const name of counters) {
    const [now, then] = [kernel[name], last[name]];
    const growth = now === undefined || then === undefined ? 0 : Math.max(0, now - then);
    sums[name] = before === undefined ? (now ?? 0) : before[name] + growth;
    kernel[name] ??= then;
  }
  series.kernel = kernel;
  const elapsedSeconds = before === undefined || !isSame ? 0 : (atMs - before.atMs) / 1000;
  const cpuSeconds = before === undefined ? 0 : sums.cpuUsedSeconds - before.cpuUsedSeconds;
  return { ...used, ...sums, atMs, cpuUsedPct: elapsedSeconds <= 0 ? 0 : (100 * cpuSeconds) / elapsedSeconds };
}

function usageFrom(sample: Sample): Omit<Usage, 'idleCpus'> {
  const { cpuUsedSeconds, diskReadBytes, diskWrittenBytes, networkReceivedBytes, networkSentBytes } = sample;
  const transferredBytes = diskReadBytes + diskWrittenBytes + networkReceivedBytes + networkSentBytes;
  return { cpuUsedSeconds, transferredBytes };
}

function toMetric({ record }: TenantSandbox, sample: Sample): Metric {
  return { ...sample, cpuCount: record.cpuCount };
}
