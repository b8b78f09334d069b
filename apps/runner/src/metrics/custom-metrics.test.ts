import { silentLogger } from '@soulbox/base/logger';
import type { EnvdCustomSource } from '@soulbox/envd-client';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RunningSandbox } from '../registry/table.ts';
import { createCustomMetrics } from './custom-metrics.ts';
import type { CustomMetrics } from './custom-metrics.ts';

const startMs = Date.UTC(2030, 0, 1);
let texts: Map<string, () => Promise<EnvdCustomSource[]>>;
let reads: string[];
let idle: Set<string>;
let busy: Set<string>;
let paused: Set<string>;
let metrics: CustomMetrics;

const running = (): RunningSandbox[] =>
  [...texts.keys()]
    .filter((sandboxId) => !paused.has(sandboxId))
    .map(
      (sandboxId) =>
        ({
          record: { sandboxId, tenant: { startedAtMs: startMs, teamId: sandboxId.split('-')[0] } },
          live: {
            envd: {
              customMetrics: async () => {
                reads.push(sandboxId);
                return await (texts.get(sandboxId)?.() ?? []);
              },
            },
          },
        }) as unknown as RunningSandbox,
    );

/** The sandbox has a file with this text. */
const report = (sandboxId: string, text: string): void =>
  void texts.set(sandboxId, async () => await Promise.resolve([{ name: 'a.prom', text }]));
const silence = (sandboxId: string): void => void texts.set(sandboxId, async () => await Promise.resolve([]));

beforeEach(() => {
  vi.useFakeTimers({ now: startMs });
  texts = new Map();
  reads = [];
  [idle, busy, paused] = [new Set(), new Set(), new Set()];
  metrics = createCustomMetrics({
    table: { running, isBusy: (sandboxId) => busy.has(sandboxId) },
    activity: { idleMs: (sandboxId) => (idle.has(sandboxId) ? 3_600_000 : 0) },
    clock: { now: () => Date.now() },
    logger: silentLogger,
  });
});
afterEach(() => {
  metrics[Symbol.dispose]();
  vi.useRealTimers();
});

describe('metrics of user code', () => {
  it('are read when somebody asks, at most once a second, by all callers together', async () => {
    report('a', '# TYPE jobs counter\n# HELP jobs Done.\njobs{queue="mail"} 5');
    const [one, other] = await Promise.all([metrics.read('a'), metrics.read('a')]);
    const values = [{ atMs: startMs, value: 5 }];
    expect(one).toEqual({
      series: [{ name: 'jobs', type: 'counter', help: 'Done.', labels: { queue: 'mail' }, values }],
      rejected: 0,
      faults: [],
    });
    expect([other, (await metrics.read('a')).series.length, reads]).toEqual([one, 1, ['a']]);
    await vi.advanceTimersByTimeAsync(1000);
    await metrics.read('a');
    expect(reads).toEqual(['a', 'a']);
  });

  it('are found within a minute in a sandbox that does something, and followed every 10 s from then on', async () => {
    silence('a');
    await vi.advanceTimersByTimeAsync(9000);
    expect(reads).toEqual([]);
    await vi.advanceTimersByTimeAsync(40_000);
    expect(reads).toEqual(['a']);
    report('a', 'jobs 1');
    await vi.advanceTimersByTimeAsync(62_000);
    idle.add('a');
    await vi.advanceTimersByTimeAsync(60_000);
    expect(metrics.known('a').series[0]?.values.length).toBeGreaterThanOrEqual(6);
  });

  it('do not wake a sandbox that is idle, is paused or is in a step', async () => {
    for (const name of ['idle', 'paused', 'busy']) report(name, 'jobs 1');
    idle.add('idle');
    paused.add('paused');
    busy.add('busy');
    await vi.advanceTimersByTimeAsync(300_000);
    expect(reads).toEqual([]);
    expect((await metrics.read('paused')).series).toEqual([]);
    expect((await metrics.read('busy')).series).toEqual([]);
    expect((await metrics.read('idle')).series).toHaveLength(1);
  });

  it('are kept for half an hour, also while the sandbox is paused, and go with it', async () => {
    report('a', 'jobs 1\nonce 1');
    await metrics.read('a');
    report('a', 'jobs 2');
    await vi.advanceTimersByTimeAsync(1_790_000);
    expect(metrics.known('a').series.map(({ values }) => values.length)).toEqual([180, 1]);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(metrics.known('a').series.map(({ name }) => name)).toEqual(['jobs']);
    paused.add('a');
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect((await metrics.read('a')).series[0]?.values).toHaveLength(180);
    metrics.remove('a');
    expect(metrics.known('a')).toEqual({ series: [], rejected: 0, faults: [] });
  });

  it('have limits for each sandbox, and say what was left out', async () => {
    report('a', Array.from({ length: 100_000 }, (_, n) => `m${n} 1`).join('\n'));
    const { series, rejected, faults } = await metrics.read('a');
    expect([series.length, rejected]).toEqual([256, 99_744]);
    expect(faults[0]).toBe('a.prom: line 257: more than 256 series');
    report('a', 'new 1\nm0 2');
    await vi.advanceTimersByTimeAsync(1000);
    const later = await metrics.read('a');
    expect(later.rejected).toBe(1);
    expect(later.faults[0]).toContain('1 series are beyond the limits of a sandbox (256 series');
    expect(later.series[0]?.values).toHaveLength(2);
  });

  it('have a limit for names and labels of a sandbox', async () => {
    const label = 'x'.repeat(250);
    report('a', Array.from({ length: 200 }, (_, n) => `m{n="${n}",a="${label}",b="${label}"} 1`).join('\n'));
    const { series, rejected } = await metrics.read('a');
    expect(series.length).toBeGreaterThan(100);
    expect(series.length + rejected).toBe(200);
    expect(JSON.stringify(series.map(({ labels }) => labels)).length).toBeLessThan(70_000);
  });

  const manySeries = Array.from({ length: 256 }, (_, n) => `m${n} 1`).join('\n');
  const seriesOf = (team: string): number =>
    [...texts.keys()]
      .filter((id) => id.startsWith(`${team}-`))
      .reduce((sum, id) => sum + metrics.known(id).series.length, 0);

  it('have a limit for all sandboxes together, which is free again when they end', async () => {
    for (let sandbox = 0; sandbox < 90; sandbox++) {
      report(`${sandbox % 5}-${sandbox}`, manySeries);
      await metrics.read(`${sandbox % 5}-${sandbox}`);
    }
    const count = (): number => ['0', '1', '2', '3', '4'].reduce((sum, team) => sum + seriesOf(team), 0);
    expect(count()).toBe(20_000);
    metrics.remove('0-0');
    await vi.advanceTimersByTimeAsync(1000);
    await metrics.read('4-89');
    expect(metrics.known('4-89').series.length).toBeGreaterThan(200);
    expect(count()).toBeLessThanOrEqual(20_000);
  });

  it('of one team take at most a quarter of the room', async () => {
    for (let sandbox = 0; sandbox < 90; sandbox++) {
      report(`greedy-${sandbox}`, manySeries);
      await metrics.read(`greedy-${sandbox}`);
    }
    expect(seriesOf('greedy')).toBe(5000);
    expect((await metrics.read('greedy-89')).faults[0]).toContain('of its team');
    report('modest-1', manySeries);
    expect((await metrics.read('modest-1')).series).toHaveLength(256);
    metrics.remove('greedy-0');
    await vi.advanceTimersByTimeAsync(1000);
    expect((await metrics.read('greedy-89')).series.length).toBeGreaterThan(200);
  });

  it('of one team take at most a quarter of the room for texts', async () => {
    const label = 'x'.repeat(250);
    const text = Array.from({ length: 200 }, (_, n) => `m{n="${n}",a="${label}",b="${label}"} 1`).join('\n');
    for (let sandbox = 0; sandbox < 40; sandbox++) {
      report(`greedy-${sandbox}`, text);
      await metrics.read(`greedy-${sandbox}`);
    }
    expect(metrics.known('greedy-39').series).toEqual([]);
    report('modest-1', text);
    expect((await metrics.read('modest-1')).series.length).toBeGreaterThan(100);
  });

  it('are asked for once a minute in a sandbox that stopped answering', async () => {
    report('a', 'jobs 1');
    await metrics.read('a');
    texts.set('a', async () => await Promise.reject(new Error('gone')));
    await vi.advanceTimersByTimeAsync(12_000);
    expect(reads).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(40_000);
    expect(reads).toHaveLength(2);
    report('a', 'jobs 2');
    await vi.advanceTimersByTimeAsync(40_000);
    expect(metrics.known('a').series[0]?.values.length).toBeGreaterThanOrEqual(3);
  });

  it('do not wait for sandboxes that hang, and report those that fail', async () => {
    texts.set('hung', async () => await new Promise<never>(() => undefined));
    texts.set('failing', async () => await Promise.reject(new Error('gone')));
    report('a', 'jobs 1');
    await vi.advanceTimersByTimeAsync(20_000);
    expect(metrics.known('a').series).toHaveLength(1);
    expect(metrics.known('failing').faults).toHaveLength(1);
  });

  it('forget an answer that arrives after the end of the sandbox', async () => {
    const { promise, resolve } = Promise.withResolvers<EnvdCustomSource[]>();
    texts.set('a', async () => await promise);
    const reading = metrics.read('a');
    metrics.remove('a');
    texts.delete('a');
    resolve([{ name: 'a.prom', text: 'jobs 1' }]);
    await reading;
    expect(metrics.known('a').series).toEqual([]);
  });
});
