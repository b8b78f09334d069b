import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { Pool } from './pool.ts';
import { finishNext, setUp, snapshotOf, templateOf, useTwice } from './testing/pool-bench.ts';

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
    expect(pool.figures()).toEqual({
      ...{ ready: 0, wanted: 3, booting: 2, waiting: 2, failedBoots: 1 },
      ...{ served: 1, waited: 2 },
    });
    for (let boot = 0; boot < 2; boot++) await finishNext(made.boots);
    await Promise.all(waiting);
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

  it('pauses after a failed refill instead of failing endlessly', async () => {
    const made = setUp({ size: 1 });
    pool = made.pool;
    pool.pin(templateOf('a'));
    made.boots.shift()?.fail(new Error('no disk'));
    await sleep(20);
    expect(made.boots).toHaveLength(0);
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
