import type { Clock, Logger } from '@soulbox/base';
import type { ResourceSample } from '@soulbox/isolation';
import type { NetworkCounters, Network } from '@soulbox/network';
import type { Usage } from './activity.ts';
import type { Consumption } from './consumption.ts';
import type { TenantSandbox } from '../registry/table.ts';
import { createSampleRing } from './sample-ring.ts';
import type { Sample, SampleRing } from './sample-ring.ts';

/** One sample a second for half an hour. */
const intervalMs = 1000;
const capacity = 1800;
/** Sandboxes sampled at the same time: enough to hide a slow one, few enough to spread the work. */
const concurrency = 8;
/** A round waits this long for one sandbox. Otherwise a hanging sandbox for each worker would hold up all others. */
const patienceMs = 250;

/** The resource use of a sandbox at one moment. */
export interface Metric extends Sample {
  readonly cpuCount: number;
}

export interface SandboxMetrics extends Disposable {
  /** Samples a sandbox from now on. Called again after a pause. */
  add(sandbox: TenantSandbox): void;
  /** The same for a sandbox that an earlier runner has started. */
  adopt(sandbox: TenantSandbox): void;
  /** Takes one more sample, before the counters of its processes go. Never throws, and waits for nothing before it. */
  sampleLast(sandboxId: string): Promise<void>;
  /** Stops sampling and forgets the samples. */
  remove(sandboxId: string): void;
  latest(sandboxId: string): Metric | undefined;
  /** Samples between two times in milliseconds since the epoch, both included, oldest first. */
  range(sandboxId: string, fromMs: number, toMs: number): Metric[];
}

interface Series {
  readonly sandbox: TenantSandbox;
  readonly ring: SampleRing;
  /** A sample that takes longer than a second is not started twice. */
  busy: boolean;
}

const noTraffic: NetworkCounters = { receivedBytes: 0, sentBytes: 0, receivedPackets: 0, sentPackets: 0 };

/** Samples every sandbox of a tenant once a second. A failing or slow one does not delay others. */
export function createSandboxMetrics(options: {
  /** Called for every sample. */
  observe: (sandboxId: string, usage: Usage) => void;
  consumption: Pick<Consumption, 'begin' | 'observe'>;
  network: Pick<Network, 'counters'>;
  clock: Clock;
  logger: Logger;
}): SandboxMetrics {
  const { observe, consumption, network, clock, logger } = options;
  const all = new Map<string, Series>();

  const sampleOne = async (series: Series, traffic: ReadonlyMap<number, NetworkCounters>): Promise<void> => {
    const { record, live } = series.sandbox;
    if (series.busy || live === undefined) return;
    series.busy = true;
    try {
      const used = await live.driver.sample(live.instance);
      consumption.observe(record, used.cpuUsedSeconds, traffic.get(record.slot)?.sentBytes);
      const sample = toSample(clock.now(), used, traffic.get(record.slot) ?? noTraffic, series.ring.newest());
      series.ring.push(sample);
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
    const worker = async (): Promise<void> => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop())
        await Promise.race([sampleOne(next, traffic), patience.promise]);
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
    clearTimeout(patienceTimer);
  };

  const timer = setInterval(() => {
    round().catch((err: unknown) => {
      logger.error({ err }, 'metrics round failed');
    });
  }, intervalMs);

  const start = (sandbox: TenantSandbox, isNew: boolean): void => {
    const { sandboxId } = sandbox.record;
    consumption.begin(sandbox, isNew);
    const series = all.get(sandboxId) ?? { sandbox, ring: createSampleRing(capacity), busy: false };
    all.set(sandboxId, series);
    // Clients ask right after the create, so the first sample does not wait for the next round. It reads seven files, so
    // it is taken after the response to the create has been sent.
    setImmediate(() => void sampleOne(series, new Map()));
  };

  return {
    add: (sandbox) => start(sandbox, true),
    adopt: (sandbox) => start(sandbox, false),
    async sampleLast(sandboxId) {
      const series = all.get(sandboxId);
      if (series !== undefined) await sampleOne(series, network.counters());
    },
    remove(sandboxId) {
      all.delete(sandboxId);
    },
    latest(sandboxId) {
      const series = all.get(sandboxId);
      const sample = series?.ring.newest();
      return series === undefined || sample === undefined ? undefined : toMetric(series.sandbox, sample);
    },
    range(sandboxId, fromMs, toMs) {
      const series = all.get(sandboxId);
      if (series === undefined) return [];
      return series.ring.range(fromMs, toMs).map((sample) => toMetric(series.sandbox, sample));
    },
    [Symbol.dispose]() {
      clearInterval(timer);
    },
  };
}

/** CPU use is the growth of the counter since the previous sample. 100 means one CPU all the time. */
function toSample(atMs: number, used: ResourceSample, traffic: NetworkCounters, before: Sample | undefined): Sample {
  const elapsedSeconds = before === undefined ? 0 : (atMs - before.atMs) / 1000;
  const cpuSeconds = before === undefined ? 0 : Math.max(0, used.cpuUsedSeconds - before.cpuUsedSeconds);
  return {
    ...used,
    atMs,
    cpuUsedPct: elapsedSeconds <= 0 ? 0 : (100 * cpuSeconds) / elapsedSeconds,
    networkReceivedBytes: traffic.receivedBytes,
    networkSentBytes: traffic.sentBytes,
    networkReceivedPackets: traffic.receivedPackets,
    networkSentPackets: traffic.sentPackets,
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
