import type { Clock, Logger } from '@soulbox/base';
import type { NetworkCounters, Network } from '@soulbox/network';
import type { Usage } from './activity.ts';
import type { Consumption } from './consumption.ts';
import type { TenantSandbox } from '../registry/table.ts';
import { hours, minutes } from './metric-history.ts';
import type { MetricFolder, MetricHistory } from './metric-history.ts';
import { mergeBySteps, pointFromSample } from './point.ts';
import type { Point } from './point.ts';
import type { Sample } from './sample-ring.ts';
import { createSeries, intervalMs } from './series.ts';
import type { Series } from './series.ts';

/** A round works for 3 ms, then others have 4 ms: samples of 500 busy sandboxes take 80 ms, and creates would wait. */
const stretchMs = 3;
const breakMs = 4;
/** The resource use of a sandbox at one moment. */
export interface Metric extends Sample {
  readonly cpuCount: number;
}

export interface SandboxMetrics extends AsyncDisposable {
  /** Samples a sandbox from now on. Called again after a pause. */
  add(sandbox: TenantSandbox): void;
  /** The same for a sandbox that an earlier runner has started. */
  adopt(sandbox: TenantSandbox): void;
  /** Takes one more sample, before the counters of its processes go. Never throws. */
  sampleLast(sandboxId: string): void;
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

/** Samples every sandbox of a tenant once a second. A failing one does not disturb others. */
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
  /** Those whose earlier samples are being read. */
  const loading = new Set<Series>();
  let loaded = Promise.resolve();
  let isSampling = false;

  const sampleOne = (series: Series, traffic: ReadonlyMap<number, NetworkCounters>): void => {
    const { record, live } = series.sandbox;
    if (loading.has(series) || live === undefined) return;
    try {
      const passed = traffic.get(record.slot);
      const { used, sample, isSame } = series.take(live, passed, clock.now());
      if (!isSame) consumption.observe(record, used.cpuUsedSeconds, passed?.sentBytes);
      observe(record.sandboxId, { ...usageFrom(sample), idleCpus: live.driver.idleCpus });
    } catch (err) {
      // A sandbox that has just ended has no figures any more.
      logger.debug({ sandboxId: record.sandboxId, err }, 'metrics of a sandbox could not be read');
    }
  };

  const sampleAll = async (): Promise<void> => {
    const traffic = network.counters();
    let stretchEndsAt = performance.now() + stretchMs;
    for (const series of [...all.values()]) {
      sampleOne(series, traffic);
      if (performance.now() < stretchEndsAt) continue;
      await new Promise<void>((resolve) => setTimeout(resolve, breakMs));
      stretchEndsAt = performance.now() + stretchMs;
    }
  };

  const round = async (): Promise<void> => {
    if (all.size === 0 || isSampling) return;
    isSampling = true;
    try {
      await sampleAll();
    } finally {
      isSampling = false;
    }
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
    try {
      await series.load();
    } catch (err) {
      const { sandboxId } = series.sandbox.record;
      logger.warn({ sandboxId, err }, 'earlier metrics of a sandbox could not be read');
    }
  };

  const historyOf = (sandboxId: string): MetricHistory => folder.historyOf(sandboxId, () => clock.now());

  const start = (sandbox: TenantSandbox, isNew: boolean): void => {
    const { sandboxId } = sandbox.record;
    consumption.begin(sandbox, isNew);
    const known = all.get(sandboxId);
    const series = known ?? createSeries(sandbox, historyOf(sandboxId), isNew);
    all.set(sandboxId, series);
    // Clients ask right after the create, so the first sample does not wait for the next round. It reads seven files, so
    // it is taken after the response to the create has been sent.
    const sampleFirst = (): void => void setImmediate(() => sampleOne(series, new Map()));
    if (known !== undefined || isNew) {
      sampleFirst();
      return;
    }
    loading.add(series);
    // One after the other: a server may have thousands of sandboxes.
    loaded = loaded.then(async () => {
      await load(series);
      loading.delete(series);
      sampleFirst();
    });
  };

  const secondsOf = (series: Series, fromMs: number, toMs: number): Point[] => {
    // The growth of the counters needs the sample before the first one.
    const samples = series.range(fromMs - 2 * intervalMs, toMs);
    return samples.map((sample, at) => pointFromSample(sample, samples[at - 1])).filter(({ atMs }) => atMs >= fromMs);
  };

  return {
    add: (sandbox) => start(sandbox, true),
    adopt: (sandbox) => start(sandbox, false),
    sampleLast(sandboxId) {
      const series = all.get(sandboxId);
      if (series === undefined) return;
      series.readAgain();
      sampleOne(series, network.counters());
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
      const newest = series?.newest();
      return series === undefined || newest === undefined ? undefined : toMetric(series.sandbox, newest);
    },
    range(sandboxId, fromMs, toMs) {
      const series = all.get(sandboxId);
      if (series === undefined) return [];
      return series.range(fromMs, toMs).map((sample) => toMetric(series.sandbox, sample));
    },
    async points(sandboxId, fromMs, toMs, stepMs) {
      const series = all.get(sandboxId);
      if (series === undefined) return [];
      if (stepMs < minutes.stepMs) return mergeBySteps(secondsOf(series, fromMs, toMs), stepMs);
      series.fillIn();
      const section = stepMs < hours.stepMs ? minutes : hours;
      return mergeBySteps(await series.history.read(section, fromMs, toMs), stepMs);
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      for (const series of all.values()) series.fillIn();
      await Promise.all([...all.values()].map(flush));
    },
  };
}

function usageFrom(sample: Sample): Omit<Usage, 'idleCpus'> {
  const { cpuUsedSeconds, diskReadBytes, diskWrittenBytes, networkReceivedBytes, networkSentBytes } = sample;
  const transferredBytes = diskReadBytes + diskWrittenBytes + networkReceivedBytes + networkSentBytes;
  return { cpuUsedSeconds, transferredBytes };
}

function toMetric({ record }: TenantSandbox, sample: Sample): Metric {
  return { ...sample, cpuCount: record.cpuCount };
}
