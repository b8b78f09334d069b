import { silentLogger } from '@soulbox/base';
import type { ResourceSample } from '@soulbox/isolation';
import type { NetworkCounters } from '@soulbox/network';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Usage } from './activity.ts';
import type { TenantSandbox } from '../registry/table.ts';
import { createConsumption } from './consumption.ts';
import { createSandboxMetrics } from './sandbox-metrics.ts';
import type { SandboxMetrics } from './sandbox-metrics.ts';

const idle: ResourceSample = {
  cpuUsedSeconds: 0,
  memoryRssBytes: 10,
  memoryCacheBytes: 20,
  memorySwapBytes: 0,
  memoryWorkingSetBytes: 15,
  memoryLimitBytes: 512 * 2 ** 20,
  diskUsedBytes: 1,
  diskTotalBytes: 10 * 2 ** 40,
  diskReadBytes: 3,
  diskWrittenBytes: 2 ** 52,
};
const startMs = Date.UTC(2030, 0, 1);

/** A sandbox with only the fields that the metrics read, and without a driver. */
function sandboxNamed(sandboxId: string, slot: number): TenantSandbox {
  const sample = async (): Promise<ResourceSample> =>
    await (sources.get(sandboxId)?.() ?? Promise.reject(new Error('gone')));
  return {
    record: { sandboxId, slot, cpuCount: 2, generation: 'g', tenant: { teamId: 't', keyId: 'k' } },
    live: { driver: { sample, idleCpus: 0.01 } },
  } as unknown as TenantSandbox;
}

let sources: Map<string, () => Promise<ResourceSample>>;
let traffic: Map<number, NetworkCounters>;
let metrics: SandboxMetrics;
let seen: [string, Usage][];

beforeEach(() => {
  vi.useFakeTimers({ now: startMs });
  sources = new Map();
  traffic = new Map();
  seen = [];
  metrics = createSandboxMetrics({
    observe: (sandboxId, usage) => seen.push([sandboxId, usage]),
    consumption: createConsumption(),
    network: { counters: () => traffic },
    clock: { now: () => Date.now() },
    logger: silentLogger,
  });
});

afterEach(() => {
  metrics[Symbol.dispose]();
  vi.useRealTimers();
});

function timesOf(sandboxId: string, fromMs = 0, toMs = Infinity): number[] {
  return metrics.range(sandboxId, fromMs, toMs).map(({ atMs }) => Math.floor(atMs / 1000) * 1000 - startMs);
}

describe('metrics of sandboxes', () => {
  it('has the first sample at once and another one every second', async () => {
    sources.set('a', async () => await Promise.resolve(idle));
    metrics.add(sandboxNamed('a', 1));
    await vi.advanceTimersByTimeAsync(0);
    expect(metrics.latest('a')).toMatchObject({ cpuCount: 2, cpuUsedPct: 0, memoryRssBytes: 10 });
    await vi.advanceTimersByTimeAsync(3000);
    expect(timesOf('a')).toEqual([0, 1000, 2000, 3000]);
    expect(timesOf('a', startMs + 1000, startMs + 2000)).toEqual([1000, 2000]);
  });

  it('reports 100 for one CPU that is always busy, whatever the interval of two samples', async () => {
    let used = 5;
    sources.set('a', async () => await Promise.resolve({ ...idle, cpuUsedSeconds: used }));
    metrics.add(sandboxNamed('a', 1));
    await vi.advanceTimersByTimeAsync(0);
    used += 1;
    await vi.advanceTimersByTimeAsync(1000);
    expect(metrics.latest('a')?.cpuUsedPct).toBeCloseTo(100);
    used += 0.5;
    await vi.advanceTimersByTimeAsync(1000);
    expect(metrics.latest('a')).toMatchObject({ cpuUsedPct: 50, cpuUsedSeconds: 6.5 });
    // The server was blocked for four seconds, so one sample covers all of them.
    used += 10;
    vi.setSystemTime(Date.now() + 4000);
    await vi.advanceTimersByTimeAsync(1000);
    expect(metrics.latest('a')?.cpuUsedPct).toBeCloseTo(200);
  });

  it('has plausible figures when a counter or the wall clock is set back', async () => {
    let used = 100;
    sources.set('a', async () => await Promise.resolve({ ...idle, cpuUsedSeconds: used }));
    metrics.add(sandboxNamed('a', 1));
    await vi.advanceTimersByTimeAsync(0);
    used = 1;
    await vi.advanceTimersByTimeAsync(1000);
    expect(metrics.latest('a')?.cpuUsedPct).toBe(0);
    used = 2;
    vi.setSystemTime(startMs - 60_000);
    await vi.advanceTimersByTimeAsync(1000);
    expect(metrics.latest('a')?.cpuUsedPct).toBe(0);
  });

  it('has exact figures beyond 32 bits, and the traffic of its own slot', async () => {
    sources.set('a', async () => await Promise.resolve(idle));
    traffic.set(1, { receivedBytes: 2 ** 40, sentBytes: 7, receivedPackets: 8, sentPackets: 9 });
    traffic.set(2, { receivedBytes: 1, sentBytes: 1, receivedPackets: 1, sentPackets: 1 });
    metrics.add(sandboxNamed('a', 1));
    await vi.advanceTimersByTimeAsync(1000);
    expect(metrics.latest('a')).toMatchObject({
      diskWrittenBytes: 2 ** 52,
      diskTotalBytes: 10 * 2 ** 40,
      networkReceivedBytes: 2 ** 40,
      networkSentBytes: 7,
      networkReceivedPackets: 8,
      networkSentPackets: 9,
    });
  });

  it('continues with all others while 20 sandboxes hang and 5 fail', async () => {
    for (let index = 0; index < 20; index++) {
      sources.set(`hung-${index}`, async () => await new Promise<never>(() => undefined));
      metrics.add(sandboxNamed(`hung-${index}`, 100 + index));
    }
    for (let index = 0; index < 5; index++) metrics.add(sandboxNamed(`failing-${index}`, 200 + index));
    sources.set('a', async () => await Promise.resolve(idle));
    metrics.add(sandboxNamed('a', 1));
    await vi.advanceTimersByTimeAsync(3000);
    expect(timesOf('a')).toEqual([0, 1000, 2000, 3000]);
    expect(metrics.latest('hung-3')).toBeUndefined();
    expect(metrics.latest('failing-3')).toBeUndefined();
  });

  it('misses no second of the others when 20 sandboxes start to hang in the same round', async () => {
    let hang = false;
    sources.set('a', async () => await Promise.resolve(idle));
    metrics.add(sandboxNamed('a', 1));
    for (let index = 0; index < 20; index++) {
      sources.set(
        `hung-${index}`,
        async () => await (hang ? new Promise<never>(() => undefined) : Promise.resolve(idle)),
      );
      metrics.add(sandboxNamed(`hung-${index}`, 100 + index));
    }
    await vi.advanceTimersByTimeAsync(1000);
    hang = true;
    await vi.advanceTimersByTimeAsync(3500);
    expect(timesOf('a')).toEqual([0, 1000, 2000, 3000, 4000]);
    expect(timesOf('hung-0')).toEqual([0, 1000]);
  });

  it('samples a sandbox again only after it has answered', async () => {
    let asked = 0;
    let answer: (sample: ResourceSample) => void = () => undefined;
    sources.set('slow', async () => {
      asked++;
      return await new Promise((resolve) => (answer = resolve));
    });
    metrics.add(sandboxNamed('slow', 1));
    await vi.advanceTimersByTimeAsync(5000);
    expect(asked).toBe(1);
    answer(idle);
    await vi.advanceTimersByTimeAsync(1000);
    expect(asked).toBe(2);
    expect(timesOf('slow')).toEqual([5000]);
  });

  it('keeps the samples of a paused sandbox, takes none meanwhile, and continues afterwards', async () => {
    sources.set('a', async () => await Promise.resolve(idle));
    const sandbox = sandboxNamed('a', 1);
    metrics.add(sandbox);
    await vi.advanceTimersByTimeAsync(1000);
    const { live } = sandbox;
    sandbox.live = undefined;
    await vi.advanceTimersByTimeAsync(3000);
    expect(timesOf('a')).toEqual([0, 1000]);
    sandbox.live = live;
    metrics.add(sandbox);
    await vi.advanceTimersByTimeAsync(1000);
    expect(timesOf('a')).toEqual([0, 1000, 4000, 5000]);
  });

  it('reports the usage of each sample, with disk and network added up', async () => {
    sources.set('a', async () => await Promise.resolve({ ...idle, cpuUsedSeconds: 3, diskWrittenBytes: 100 }));
    traffic.set(1, { receivedBytes: 20, sentBytes: 7, receivedPackets: 8, sentPackets: 9 });
    metrics.add(sandboxNamed('a', 1));
    await vi.advanceTimersByTimeAsync(1000);
    expect(seen.at(-1)).toEqual(['a', { cpuUsedSeconds: 3, transferredBytes: 130, idleCpus: 0.01 }]);
  });

  it('forgets a sandbox that is removed, also while it is being sampled', async () => {
    let answer: (sample: ResourceSample) => void = () => undefined;
    sources.set('a', async () => await new Promise((resolve) => (answer = resolve)));
    metrics.add(sandboxNamed('a', 1));
    await vi.advanceTimersByTimeAsync(0);
    metrics.remove('a');
    answer(idle);
    await vi.advanceTimersByTimeAsync(2000);
    expect(metrics.latest('a')).toBeUndefined();
    expect(metrics.range('a', 0, Infinity)).toEqual([]);
    metrics.remove('a');
  });

  it('has nothing for an unknown sandbox', () => {
    expect(metrics.latest('nobody')).toBeUndefined();
    expect(metrics.range('nobody', 0, Infinity)).toEqual([]);
  });

  it('stops sampling when it is disposed', async () => {
    let asked = 0;
    sources.set('a', async () => {
      asked++;
      return await Promise.resolve(idle);
    });
    metrics.add(sandboxNamed('a', 1));
    await vi.advanceTimersByTimeAsync(1000);
    metrics[Symbol.dispose]();
    const before = asked;
    await vi.advanceTimersByTimeAsync(5000);
    expect(asked).toBe(before);
  });
});
