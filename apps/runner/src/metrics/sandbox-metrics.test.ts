import { mkdtemp, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import type { ResourceSample } from '@soulbox/isolation';
import type { NetworkCounters } from '@soulbox/network';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Usage } from './activity.ts';
import type { TenantSandbox } from '../registry/table.ts';
import { createConsumption } from './consumption.ts';
import { minutes, openMetricFolder } from './metric-history.ts';
import { sampleFields } from './sample-ring.ts';
import type { Sample } from './sample-ring.ts';
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

/** A sandbox with only the fields that the metrics read, and a driver that only reads. */
function sandboxNamed(sandboxId: string, slot: number): TenantSandbox {
  const sample = (): ResourceSample => {
    const source = sources.get(sandboxId);
    if (source === undefined) throw new Error('gone');
    return source();
  };
  return {
    record: { sandboxId, slot, cpuCount: 2, generation: 'g', tenant: { teamId: 't', keyId: 'k' } },
    live: { driver: { sample, readCpuUsed: () => sample().cpuUsedSeconds, idleCpus: 0.01 }, instance: { sandboxId } },
  } as unknown as TenantSandbox;
}

let sources: Map<string, () => ResourceSample>;
let traffic: Map<number, NetworkCounters>;
let metrics: SandboxMetrics;
let seen: [string, Usage][];

let directory: string;

const realSetTimeout = globalThis.setTimeout;

/** Waits for the real file of a sandbox. `vi.waitFor` would move the mocked clock with each try, and so take more samples. */
async function untilLoaded(sandboxId: string): Promise<void> {
  while (metrics.latest(sandboxId) === undefined) await new Promise((resolve) => realSetTimeout(resolve, 5));
}

beforeEach(async () => {
  vi.useFakeTimers({ now: startMs });
  sources = new Map();
  traffic = new Map();
  seen = [];
  directory = await mkdtemp(join(tmpdir(), 'soulbox-metrics-'));
  await startRunner();
});

async function startRunner(): Promise<void> {
  metrics = createSandboxMetrics({
    observe: (sandboxId, usage) => seen.push([sandboxId, usage]),
    consumption: createConsumption(),
    network: { counters: () => traffic },
    folder: await openMetricFolder(directory),
    clock: { now: () => Date.now() },
    logger: silentLogger,
  });
}

afterEach(async () => {
  await metrics[Symbol.asyncDispose]();
  vi.useRealTimers();
  await removeTree(directory);
});

function timesOf(sandboxId: string, fromMs = 0, toMs = Infinity): number[] {
  return metrics.range(sandboxId, fromMs, toMs).map(({ atMs }) => Math.floor(atMs / 1000) * 1000 - startMs);
}

describe('metrics of sandboxes', () => {
  it('has the first sample at once and another one every second', async () => {
    sources.set('a', () => idle);
    metrics.add(sandboxNamed('a', 1));
    await vi.advanceTimersByTimeAsync(0);
    expect(metrics.latest('a')).toMatchObject({ cpuCount: 2, cpuUsedPct: 0, memoryRssBytes: 10 });
    await vi.advanceTimersByTimeAsync(3000);
    expect(timesOf('a')).toEqual([0, 1000, 2000, 3000]);
    expect(timesOf('a', startMs + 1000, startMs + 2000)).toEqual([1000, 2000]);
  });

  it('reports 100 for one CPU that is always busy, whatever the interval of two samples', async () => {
    let used = 5;
    sources.set('a', () => ({ ...idle, cpuUsedSeconds: used }));
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
    sources.set('a', () => ({ ...idle, cpuUsedSeconds: used }));
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
    sources.set('a', () => idle);
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

  it('continues with all others while 5 fail', async () => {
    for (let index = 0; index < 5; index++) metrics.add(sandboxNamed(`failing-${index}`, 200 + index));
    sources.set('a', () => idle);
    metrics.add(sandboxNamed('a', 1));
    await vi.advanceTimersByTimeAsync(3000);
    expect(timesOf('a')).toEqual([0, 1000, 2000, 3000]);
    expect(metrics.latest('failing-3')).toBeUndefined();
  });

  it('takes over the figures of a sandbox in which nothing runs, and reads them again after ten seconds', async () => {
    let memoryCacheBytes = 20;
    sources.set('a', () => ({ ...idle, memoryCacheBytes }));
    metrics.add(sandboxNamed('a', 1));
    await vi.advanceTimersByTimeAsync(0);
    // The kernel drops cached data.
    memoryCacheBytes = 5;
    await vi.advanceTimersByTimeAsync(12_000);
    const cached = metrics.range('a', 0, Infinity).map((sample) => sample.memoryCacheBytes);
    expect(cached).toEqual([...Array.from({ length: 10 }, () => 20), 5, 5, 5]);
  });

  it('reads the figures of a sandbox at once when something runs in it, and before it ends', async () => {
    let use = { cpuUsedSeconds: 1, memoryRssBytes: 10 };
    sources.set('a', () => ({ ...idle, ...use }));
    metrics.add(sandboxNamed('a', 1));
    await vi.advanceTimersByTimeAsync(1000);
    use = { cpuUsedSeconds: 1.000_001, memoryRssBytes: 11 };
    await vi.advanceTimersByTimeAsync(1000);
    expect(metrics.latest('a')?.memoryRssBytes).toBe(11);
    use = { cpuUsedSeconds: 1.000_001, memoryRssBytes: 12 };
    metrics.sampleLast('a');
    expect(metrics.latest('a')?.memoryRssBytes).toBe(12);
  });

  it('reads the figures of new processes even if they have used as much CPU time', async () => {
    sources.set('a', () => idle);
    const sandbox = sandboxNamed('a', 1);
    metrics.add(sandbox);
    await vi.advanceTimersByTimeAsync(1000);
    sources.set('a', () => ({ ...idle, memoryRssBytes: 99 }));
    sandbox.live = sandboxNamed('a', 1).live;
    await vi.advanceTimersByTimeAsync(1000);
    expect(metrics.latest('a')?.memoryRssBytes).toBe(99);
  });

  it('leaves breaks in a round of many samples, in which others can work', async () => {
    let passedMs = 0;
    const slowClock = vi.spyOn(performance, 'now').mockImplementation(() => (passedMs += 1));
    onTestFinished(() => slowClock.mockRestore());
    for (let index = 0; index < 30; index++) {
      sources.set(`many-${index}`, () => idle);
      metrics.add(sandboxNamed(`many-${index}`, 100 + index));
    }
    await vi.advanceTimersByTimeAsync(500);
    const sampled = (): number =>
      Array.from({ length: 30 }, (_, index) => timesOf(`many-${index}`).length).filter((count) => count > 1).length;
    await vi.advanceTimersByTimeAsync(501);
    expect(sampled()).toBeGreaterThan(0);
    expect(sampled()).toBeLessThan(30);
    await vi.advanceTimersByTimeAsync(400);
    expect(sampled()).toBe(30);
  });

  it('keeps the samples of a paused sandbox, takes none meanwhile, and continues afterwards', async () => {
    sources.set('a', () => idle);
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
    sources.set('a', () => ({ ...idle, cpuUsedSeconds: 3, diskWrittenBytes: 100 }));
    traffic.set(1, { receivedBytes: 20, sentBytes: 7, receivedPackets: 8, sentPackets: 9 });
    metrics.add(sandboxNamed('a', 1));
    await vi.advanceTimersByTimeAsync(1000);
    expect(seen.at(-1)).toEqual(['a', { cpuUsedSeconds: 3, transferredBytes: 130, idleCpus: 0.01 }]);
  });

  it('forgets a sandbox that is removed', async () => {
    sources.set('a', () => idle);
    metrics.add(sandboxNamed('a', 1));
    await vi.advanceTimersByTimeAsync(1000);
    metrics.remove('a');
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
    sources.set('a', () => {
      asked++;
      return idle;
    });
    metrics.add(sandboxNamed('a', 1));
    await vi.advanceTimersByTimeAsync(1000);
    await metrics[Symbol.asyncDispose]();
    const before = asked;
    await vi.advanceTimersByTimeAsync(5000);
    expect(asked).toBe(before);
  });
});

/** A source that uses half a CPU and writes 1000 bytes a second. */
function steady(): () => ResourceSample {
  const fromMs = Date.now();
  return () => {
    const passed = (Date.now() - fromMs) / 1000;
    return { ...idle, cpuUsedSeconds: 0.5 * passed, diskWrittenBytes: 1000 * passed };
  };
}

describe('the history of a sandbox', () => {
  it('is merged into points of the step, with means, maxima and what was used', async () => {
    sources.set('a', steady());
    metrics.add(sandboxNamed('a', 1));
    await vi.advanceTimersByTimeAsync(150_000);
    const tens = await metrics.points('a', startMs + 20_000, startMs + 39_999, 10_000);
    expect(tens).toMatchObject([
      { atMs: startMs + 20_000, samples: 10, cpuUsedPct: 50, cpuUsedPctMax: 50, cpuUsedSeconds: 5 },
      { atMs: startMs + 30_000, samples: 10, diskWrittenBytes: 10_000, memoryRssBytes: 10 },
    ]);
    const minutes = await metrics.points('a', startMs, startMs + 119_000, 60_000);
    expect(minutes).toMatchObject([
      { atMs: startMs, diskWrittenBytes: 59_000 },
      {
        atMs: startMs + 60_000,
        samples: 60,
        cpuUsedSeconds: 30,
        diskWrittenBytes: 60_000,
        diskTotalBytes: 10 * 2 ** 40,
      },
    ]);
    expect(await metrics.points('a', startMs, Infinity, 3_600_000)).toMatchObject([{ samples: 151, atMs: startMs }]);
  });

  it('survives the end of the runner, with the minute and the hour that were not complete', async () => {
    const source = steady();
    sources.set('a', source);
    metrics.add(sandboxNamed('a', 1));
    await vi.advanceTimersByTimeAsync(90_000);
    await metrics[Symbol.asyncDispose]();
    await vi.advanceTimersByTimeAsync(5000);
    await startRunner();
    metrics.adopt(sandboxNamed('a', 1));
    await untilLoaded('a');
    await vi.advanceTimersByTimeAsync(30_000);
    expect(timesOf('a', startMs + 88_000, startMs + 97_000)).toEqual([88_000, 89_000, 90_000, 95_000, 96_000, 97_000]);
    // The five seconds without a runner are not known.
    const [hour, ...others] = await metrics.points('a', 0, Infinity, 3_600_000);
    expect([others, hour?.samples]).toEqual([[], 122]);
    expect(hour?.diskWrittenBytes).toBeGreaterThan(118_000);
    expect(hour?.diskWrittenBytes).toBeLessThanOrEqual(120_000);
    expect(await metrics.points('a', startMs + 60_000, Infinity, 60_000)).toMatchObject([
      { atMs: startMs + 60_000, samples: 56 },
      { atMs: startMs + 120_000 },
    ]);
  });

  it('is written every ten seconds, and once a minute while the sandbox does nothing', async () => {
    sources.set('busy', steady());
    sources.set('idle', () => idle);
    for (const name of ['busy', 'idle']) metrics.add(sandboxNamed(name, 1));
    const written = async (): Promise<string[]> => (await readdir(directory)).toSorted();
    await vi.advanceTimersByTimeAsync(12_000);
    await vi.waitFor(async () => expect(await written()).toEqual(['busy']));
    await vi.advanceTimersByTimeAsync(30_000);
    expect(await written()).toEqual(['busy']);
    await vi.advanceTimersByTimeAsync(20_000);
    await vi.waitFor(async () => expect(await written()).toEqual(['busy', 'idle']));
  });

  it('continues its counters over a restore, whose processes start at 0', async () => {
    sources.set('a', steady());
    const sandbox = sandboxNamed('a', 1);
    metrics.add(sandbox);
    await vi.advanceTimersByTimeAsync(30_000);
    sandbox.record = { ...sandbox.record, generation: 'restored' };
    sources.set('a', steady());
    metrics.add(sandbox);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(metrics.latest('a')?.diskWrittenBytes).toBe(40_000);
    const points = await metrics.points('a', startMs, Infinity, 10_000);
    expect(points.map(({ diskWrittenBytes }) => diskWrittenBytes).slice(1, 4)).toEqual([10_000, 10_000, 10_000]);
  });

  it('keeps seconds for half an hour, minutes for a day, hours for 30 days, in a file of bounded size', async () => {
    sources.set('a', () => idle);
    metrics.add(sandboxNamed('a', 1));
    for (let day = 0; day < 32; day++) {
      // One sample an hour is enough for hours and minutes.
      for (let hour = 0; hour < 24; hour++) {
        vi.setSystemTime(startMs + (day * 24 + hour) * 3_600_000);
        await vi.advanceTimersByTimeAsync(1000);
      }
    }
    const nowMs = Date.now();
    const spanOf = async (stepMs: number): Promise<number> =>
      nowMs - ((await metrics.points('a', 0, Infinity, stepMs))[0]?.atMs ?? 0);
    await metrics[Symbol.asyncDispose]();
    await startRunner();
    metrics.adopt(sandboxNamed('a', 1));
    await untilLoaded('a');
    expect(await spanOf(1000)).toBeLessThanOrEqual(1_800_000);
    expect(await spanOf(60_000)).toBeLessThanOrEqual(86_400_000);
    expect((await spanOf(3_600_000)) / 86_400_000).toBeCloseTo(30, 0);
    const { size } = await stat(join(directory, 'a'));
    expect(size).toBeLessThanOrEqual(577 * 1024);
  });

  it('ignores rows that were damaged, and goes on', async () => {
    sources.set('a', steady());
    metrics.add(sandboxNamed('a', 1));
    await vi.advanceTimersByTimeAsync(30_000);
    await metrics[Symbol.asyncDispose]();
    const path = join(directory, 'a');
    const bytes = await readFile(path);
    const second = Math.floor(startMs / 1000 + 10) % 1800;
    bytes.fill(0xff, second * 136 + 20, second * 136 + 30);
    await writeFile(path, bytes);
    await startRunner();
    metrics.adopt(sandboxNamed('a', 1));
    await untilLoaded('a');
    expect(timesOf('a', startMs + 8000, startMs + 12_000)).toEqual([8000, 9000, 11_000, 12_000]);
  });

  it('is removed with the sandbox, and with a sandbox that ended without a runner', async () => {
    for (const name of ['a', 'b']) {
      sources.set(name, steady());
      metrics.add(sandboxNamed(name, 1));
    }
    await vi.advanceTimersByTimeAsync(15_000);
    await vi.waitFor(async () => expect((await readdir(directory)).sort()).toEqual(['a', 'b']));
    metrics.remove('a');
    await vi.waitFor(async () => expect(await readdir(directory)).toEqual(['b']));
    expect(await metrics.points('a', 0, Infinity, 1000)).toEqual([]);
    await (await openMetricFolder(directory)).keepOnly(new Set(['c']));
    expect(await readdir(directory)).toEqual([]);
  });

  it('is complete after the disk was full for a while', async () => {
    const folder = await openMetricFolder(join(directory, 'full'));
    const history = folder.historyOf('a', () => Date.now());
    await removeTree(join(directory, 'full'));
    const sample = { ...(Object.fromEntries(sampleFields.map((name) => [name, 1])) as Sample) };
    history.push({ ...sample, atMs: startMs });
    await expect(history.flush(startMs)).rejects.toThrow('ENOENT');
    history.push({ ...sample, atMs: startMs + 60_000 });
    await openMetricFolder(join(directory, 'full'));
    vi.setSystemTime(startMs + 61_000);
    await history.flush(startMs + 61_000);
    const again = folder.historyOf('a', () => Date.now());
    expect(await again.load()).toHaveLength(2);
    expect(await again.read(minutes, 0, Infinity)).toHaveLength(2);
  });
});
