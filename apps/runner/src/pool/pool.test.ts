import { afterEach, describe, expect, it } from 'vitest';
import { silentLogger, sleep, systemClock } from '@soulbox/base';
import type { Clock } from '@soulbox/base';
import type { Template } from '@soulbox/templates';
import type { LiveSandbox } from '../registry/table.ts';
import type { Blueprint } from '../processes/blueprint.ts';
import { createPool } from './pool.ts';
import type { Pool } from './pool.ts';

// Only the order of steps is tested here, so a sandbox is just its id. The end-to-end tests use real ones.
function templateOf(templateId: string, isolation = 'container'): Blueprint {
  return { kind: 'template', template: { templateId } as Template, isolation };
}

const snapshotOf = (snapshotId: string): Blueprint => ({ kind: 'snapshot', snapshotId });

interface Boot {
  /** Id of the template or the snapshot. */
  of: string;
  finish(): void;
  fail(error: Error): void;
}

interface Setting {
  readonly size: number;
  readonly maxByUse?: number;
  readonly memoryLimitBytes?: number;
  readonly bootConcurrency?: number;
  readonly idleMs?: number;
  /** Spares cannot be prepared. */
  readonly restFails?: boolean;
  readonly clock?: Clock;
}

/** Every spare takes one byte of memory. */
function setUp({ restFails = false, ...options }: Setting) {
  const boots: Boot[] = [];
  const discarded: string[] = [];
  const rested: string[] = [];
  let count = 0;
  const pool = createPool({
    bootConcurrency: 2,
    maxByUse: 4 * options.size,
    memoryLimitBytes: 100,
    idleMs: 1000,
    clock: systemClock,
    ...options,
    logger: silentLogger,
    boot: async (blueprint) =>
      await new Promise<LiveSandbox>((resolve, reject) => {
        boots.push({
          of: blueprint.kind === 'template' ? blueprint.template.templateId : blueprint.snapshotId,
          finish: () => {
            resolve({ record: { sandboxId: `i${++count}` } } as LiveSandbox);
          },
          fail: reject,
        });
      }),
    rest: async (sandbox) => {
      await Promise.resolve();
      if (restFails) throw new Error('is not frozen');
      rested.push(sandbox.record.sandboxId);
      return 1;
    },
    discard: async (sandbox) => {
      await Promise.resolve();
      discarded.push(sandbox.record.sandboxId);
    },
  });
  return { pool, boots, discarded, rested };
}

async function finishNext(boots: Boot[]): Promise<void> {
  boots.shift()?.finish();
  await sleep(1);
}

async function useTwice({ pool, boots }: ReturnType<typeof setUp>, blueprint: Blueprint): Promise<void> {
  for (let use = 0; use < 2; use++) {
    const taken = pool.take(blueprint);
    await finishNext(boots);
    await taken;
  }
}

describe('the warm pool', () => {
  let pool: Pool | undefined;
  afterEach(() => {
    void pool?.close();
  });

  it('fills up to its size, within the limit of concurrent boots', async () => {
    const made = setUp({ size: 3 });
    pool = made.pool;
    pool.pin(templateOf('a'));
    expect(made.boots).toHaveLength(2);
    await finishNext(made.boots);
    expect(made.boots).toHaveLength(2);
    await finishNext(made.boots);
    await finishNext(made.boots);
    expect(made.boots).toHaveLength(0);
    expect(pool.readyCount()).toBe(3);
  });

  it('reports its figures, and counts failed boots', async () => {
    const made = setUp({ size: 3 });
    pool = made.pool;
    pool.pin(templateOf('a'));
    await finishNext(made.boots);
    made.boots.shift()?.fail(new Error('no'));
    await expect.poll(() => pool?.figures().failedBoots).toBe(1);
    const waiting = Array.from({ length: 3 }, async () => await pool?.take(templateOf('a')));
    expect(pool.figures()).toEqual({ ready: 0, wanted: 3, booting: 2, waiting: 2, failedBoots: 1 });
    for (let boot = 0; boot < 2; boot++) await finishNext(made.boots);
    await Promise.all(waiting);
  });

  it('hands out a spare at once and boots its successor', async () => {
    const made = setUp({ size: 1 });
    pool = made.pool;
    pool.pin(templateOf('a'));
    await finishNext(made.boots);
    expect((await pool.take(templateOf('a'))).record.sandboxId).toBe('i1');
    expect(pool.readyCount()).toBe(0);
    expect(made.boots).toHaveLength(1);
  });

  it('prepares spares for waiting, but does not delay a waiting tenant for it', async () => {
    const made = setUp({ size: 1 });
    pool = made.pool;
    const waiting = pool.take(templateOf('a'));
    pool.pin(templateOf('a'));
    await finishNext(made.boots);
    await finishNext(made.boots);
    expect((await waiting).record.sandboxId).toBe('i1');
    expect(made.rested).toEqual(['i2']);
  });

  it('discards a spare that cannot be prepared, and pauses refills', async () => {
    const made = setUp({ size: 1, restFails: true });
    pool = made.pool;
    pool.pin(templateOf('a'));
    await finishNext(made.boots);
    expect([made.discarded, pool.readyCount(), made.boots.length]).toEqual([['i1'], 0, 0]);
  });

  it('delays a refill for the tenant’s sake while most spares are there, and refills at once otherwise', async () => {
    const made = setUp({ size: 4 });
    pool = made.pool;
    pool.pin(templateOf('a'));
    for (let spare = 0; spare < 4; spare++) await finishNext(made.boots);
    await pool.take(templateOf('a'));
    expect(made.boots).toHaveLength(0);
    await sleep(400);
    expect(made.boots).toHaveLength(1);
    await finishNext(made.boots);
    await pool.take(templateOf('a'));
    await sleep(400);
    await pool.take(templateOf('a'));
    await pool.take(templateOf('a'));
    expect(made.boots).toHaveLength(2);
  });

  it('serves waiters in their order, and before refilling another template', async () => {
    const made = setUp({ size: 3, bootConcurrency: 1 });
    pool = made.pool;
    pool.pin(templateOf('a'));
    const served: string[] = [];
    const take = async (who: string): Promise<void> => {
      served.push(`${who} ${(await made.pool.take(templateOf('b'))).record.sandboxId}`);
    };
    const all = [take('first'), take('second')];
    await finishNext(made.boots);
    // Two spares of `a` are still missing, and its shelf is the first one.
    expect(made.boots.map((boot) => boot.of)).toEqual(['b']);
    await finishNext(made.boots);
    expect(served).toEqual(['first i2']);
    expect(made.boots.map((boot) => boot.of)).toEqual(['b']);
    await finishNext(made.boots);
    await Promise.all(all);
    expect(served).toEqual(['first i2', 'second i3']);
    expect(made.boots.map((boot) => boot.of)).toEqual(['a']);
  });

  it('reports a failed boot to the create that waits for it, and continues', async () => {
    const made = setUp({ size: 0 });
    pool = made.pool;
    const first = pool.take(templateOf('a'));
    const second = pool.take(templateOf('a'));
    made.boots.shift()?.fail(new Error('no disk'));
    await expect(first).rejects.toThrow('no disk');
    await finishNext(made.boots);
    expect((await second).record.sandboxId).toBe('i1');
  });

  it('pauses after a failed refill instead of failing endlessly', async () => {
    const made = setUp({ size: 1 });
    pool = made.pool;
    pool.pin(templateOf('a'));
    made.boots.shift()?.fail(new Error('no disk'));
    await sleep(20);
    expect(made.boots).toHaveLength(0);
  });

  it('never hands out a spare that died', async () => {
    const made = setUp({ size: 1 });
    pool = made.pool;
    pool.pin(templateOf('a'));
    await finishNext(made.boots);
    pool.drop('i1');
    expect(pool.readyCount()).toBe(0);
    expect(made.boots).toHaveLength(1);
  });

  it('removes the spares of an unused template, but not of a pinned one', async () => {
    const made = setUp({ size: 1 });
    pool = made.pool;
    pool.pin(templateOf('a'));
    await finishNext(made.boots);
    await useTwice(made, templateOf('b'));
    await finishNext(made.boots);
    await pool.sweep(Date.now() + 900);
    expect(made.discarded).toEqual([]);
    await pool.sweep(Date.now() + 2000);
    expect(made.discarded).toEqual(['i4']);
    expect(pool.readyCount()).toBe(1);
  });

  it('keeps the spares of two isolations of one template apart', async () => {
    const made = setUp({ size: 1 });
    pool = made.pool;
    pool.pin(templateOf('a'));
    await finishNext(made.boots);
    const waiting = pool.take(templateOf('a', 'gvisor'));
    expect(pool.readyCount()).toBe(1);
    await finishNext(made.boots);
    expect((await waiting).record.sandboxId).toBe('i2');
  });

  it('refuses waiters when it closes, and is closed after the last boot has ended', async () => {
    const made = setUp({ size: 0 });
    pool = made.pool;
    const waiting = pool.take(templateOf('a'));
    const refused = expect(waiting).rejects.toThrow('The server is stopping');
    let isClosed = false;
    const closed = pool.close().then(() => (isClosed = true));
    await refused;
    await sleep(5);
    // Otherwise a sandbox that is being booted would be left behind half-made.
    expect(isClosed).toBe(false);
    await finishNext(made.boots);
    await closed;
    expect(made.boots).toHaveLength(0);
    expect(pool.readyCount()).toBe(1);
    await expect(pool.take(templateOf('a'))).rejects.toThrow('The server is stopping');
  });

  it('each waiter has one boot', async () => {
    const made = setUp({ size: 0, bootConcurrency: 8 });
    pool = made.pool;
    const waiting = [pool.take(templateOf('a')), pool.take(templateOf('a'))];
    expect(made.boots).toHaveLength(2);
    await finishNext(made.boots);
    await finishNext(made.boots);
    await Promise.all(waiting);
    expect(made.boots).toHaveLength(0);
  });

  it('a spare that is put back serves a waiting create before the boot of that create is ready', async () => {
    const made = setUp({ size: 0 });
    pool = made.pool;
    const waiting = pool.take(templateOf('a'));
    pool.put(templateOf('a'), { record: { sandboxId: 'iback' } } as LiveSandbox);
    expect((await waiting).record.sandboxId).toBe('iback');
    await finishNext(made.boots);
    expect(pool.readyCount()).toBe(1);
  });

  it('takes the oldest spare first', async () => {
    const made = setUp({ size: 2 });
    pool = made.pool;
    pool.pin(templateOf('a'));
    await finishNext(made.boots);
    await finishNext(made.boots);
    expect((await pool.take(templateOf('a'))).record.sandboxId).toBe('i1');
    expect((await pool.take(templateOf('a'))).record.sandboxId).toBe('i2');
  });

  it('spares of a template in use stay', async () => {
    let nowMs = 1000;
    const made = setUp({ size: 1, idleMs: 50, maxByUse: 1, clock: { now: () => nowMs } });
    pool = made.pool;
    await useTwice(made, templateOf('a'));
    await finishNext(made.boots);
    nowMs += 40;
    await pool.take(templateOf('a'));
    await finishNext(made.boots);
    nowMs += 40;
    await pool.sweep(nowMs);
    expect([made.discarded, pool.readyCount()]).toEqual([[], 1]);
  });

  it('lets 2000 creates wait, and refuses one more', async () => {
    const made = setUp({ size: 0, bootConcurrency: 1 });
    pool = made.pool;
    const waiting = Array.from(
      { length: 2000 },
      async () => await made.pool.take(templateOf('a')).catch(() => undefined),
    );
    await expect(pool.take(templateOf('a'))).rejects.toMatchObject({ reason: 'too_many_sandboxes' });
    const closed = pool.close();
    await finishNext(made.boots);
    await Promise.all([...waiting, closed]);
  });

  it('after a boot for a waiting create has failed, the next boot starts', async () => {
    const made = setUp({ size: 0, bootConcurrency: 4 });
    pool = made.pool;
    const first = expect(pool.take(templateOf('a'))).rejects.toThrow('no disk');
    made.boots.shift()?.fail(new Error('no disk'));
    await first;
    const second = pool.take(templateOf('a'));
    expect(made.boots).toHaveLength(1);
    await finishNext(made.boots);
    expect((await second).record.sandboxId).toBe('i1');
  });

  it('makes no spare of a blueprint that is used once', async () => {
    const made = setUp({ size: 1 });
    pool = made.pool;
    const taken = pool.take(snapshotOf('s'));
    await finishNext(made.boots);
    await taken;
    expect(made.boots).toEqual([]);
  });

  it('keeps as many as the largest burst took, up to a limit', async () => {
    const made = setUp({ size: 1, maxByUse: 3, bootConcurrency: 8 });
    pool = made.pool;
    const burst = Array.from({ length: 5 }, () => made.pool.take(snapshotOf('s')));
    // Boots for the waiting creates, and three spares beside them.
    while (made.boots.length > 0) await finishNext(made.boots);
    await Promise.all(burst);
    expect(pool.readyCount()).toBe(3);
  });

  it('replaces a spare of a longer unused blueprint if memory is short, and otherwise makes none', async () => {
    const made = setUp({ size: 1, maxByUse: 2, memoryLimitBytes: 2 });
    pool = made.pool;
    pool.pin(templateOf('a'));
    await finishNext(made.boots);
    await useTwice(made, snapshotOf('old'));
    while (made.boots.length > 0) await finishNext(made.boots);
    expect([pool.readyCount(), made.discarded]).toEqual([3, []]);
    await sleep(2);
    await useTwice(made, snapshotOf('new'));
    while (made.boots.length > 0) await finishNext(made.boots);
    expect([pool.readyCount(), made.discarded]).toEqual([3, ['i4', 'i5']]);
    await useTwice(made, snapshotOf('new'));
    while (made.boots.length > 0) await finishNext(made.boots);
    expect(pool.readyCount()).toBe(3);
  });

  it('makes only pinned spares if others may take no memory', async () => {
    const made = setUp({ size: 1, memoryLimitBytes: 0 });
    pool = made.pool;
    await useTwice(made, snapshotOf('s'));
    expect(made.boots).toEqual([]);
  });

  it('removes the spares of deleted blueprints', async () => {
    const made = setUp({ size: 1, maxByUse: 1 });
    pool = made.pool;
    await useTwice(made, snapshotOf('s'));
    await finishNext(made.boots);
    expect(pool.readyCount()).toBe(1);
    await pool.sweep(Date.now(), ({ kind }) => kind === 'snapshot');
    expect([pool.readyCount(), made.discarded]).toEqual([0, ['i3']]);
  });
});
