import { afterEach, describe, expect, it } from 'vitest';
import { silentLogger, sleep } from '@soulbox/base';
import type { Template } from '@soulbox/templates';
import { createPool } from './pool.ts';
import type { Blueprint, Pool } from './pool.ts';
import type { LiveSandbox } from './table.ts';

// Only the order of things is tested here, so a sandbox is its id; real ones are in the end-to-end tests.
function templateOf(templateId: string, isolation = 'container'): Blueprint {
  return { template: { templateId } as Template, isolation };
}

interface Boot {
  templateId: string;
  finish(): void;
  fail(error: Error): void;
}

function setUp(options: { size: number; bootConcurrency?: number; idleMs?: number }) {
  const boots: Boot[] = [];
  const discarded: string[] = [];
  const rehearsed: string[] = [];
  let count = 0;
  const pool = createPool({
    bootConcurrency: 2,
    idleMs: 1000,
    ...options,
    logger: silentLogger,
    boot: async ({ template }) =>
      await new Promise<LiveSandbox>((resolve, reject) => {
        boots.push({
          templateId: template.templateId,
          finish: () => {
            resolve({ record: { sandboxId: `i${++count}`, templateId: template.templateId } } as LiveSandbox);
          },
          fail: reject,
        });
      }),
    rehearse: async (sandbox) => {
      await Promise.resolve();
      rehearsed.push(sandbox.record.sandboxId);
    },
    discard: async (sandbox) => {
      await Promise.resolve();
      discarded.push(sandbox.record.sandboxId);
    },
  });
  return { pool, boots, discarded, rehearsed };
}

async function finishNext(boots: Boot[]): Promise<void> {
  boots.shift()?.finish();
  await sleep(1);
}

describe('the warm pool', () => {
  let pool: Pool | undefined;
  afterEach(() => {
    void pool?.close();
  });

  it('fills up to its size, never booting more at once than it may', async () => {
    const made = setUp({ size: 3 });
    pool = made.pool;
    pool.keep(templateOf('a'), { pinned: true });
    expect(made.boots).toHaveLength(2);
    await finishNext(made.boots);
    expect(made.boots).toHaveLength(2);
    await finishNext(made.boots);
    await finishNext(made.boots);
    expect(made.boots).toHaveLength(0);
    expect(pool.readyCount()).toBe(3);
  });

  it('hands out a spare at once and boots its successor', async () => {
    const made = setUp({ size: 1 });
    pool = made.pool;
    pool.keep(templateOf('a'), { pinned: true });
    await finishNext(made.boots);
    expect((await pool.take(templateOf('a'))).record.sandboxId).toBe('i1');
    expect(pool.readyCount()).toBe(0);
    expect(made.boots).toHaveLength(1);
  });

  it('rehearses spares, and does not keep a waiting tenant for it', async () => {
    const made = setUp({ size: 1 });
    pool = made.pool;
    const waiting = pool.take(templateOf('a'));
    await finishNext(made.boots);
    await finishNext(made.boots);
    expect((await waiting).record.sandboxId).toBe('i1');
    expect(made.rehearsed).toEqual(['i2']);
  });

  it('leaves the CPU to the tenant for a moment while most spares are there, and refills at once below', async () => {
    const made = setUp({ size: 4 });
    pool = made.pool;
    pool.keep(templateOf('a'), { pinned: true });
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
    pool.keep(templateOf('a'), { pinned: true });
    const served: string[] = [];
    const take = async (who: string): Promise<void> => {
      served.push(`${who} ${(await made.pool.take(templateOf('b'))).record.sandboxId}`);
    };
    const all = [take('first'), take('second')];
    await finishNext(made.boots);
    // Two spares of `a` are still missing, and its shelf stands first.
    expect(made.boots.map(({ templateId }) => templateId)).toEqual(['b']);
    await finishNext(made.boots);
    expect(served).toEqual(['first i2']);
    expect(made.boots.map(({ templateId }) => templateId)).toEqual(['b']);
    await finishNext(made.boots);
    await Promise.all(all);
    expect(served).toEqual(['first i2', 'second i3']);
    expect(made.boots.map(({ templateId }) => templateId)).toEqual(['a']);
  });

  it('gives a failed boot to the one who waits for it, and goes on', async () => {
    const made = setUp({ size: 0 });
    pool = made.pool;
    const first = pool.take(templateOf('a'));
    const second = pool.take(templateOf('a'));
    made.boots.shift()?.fail(new Error('no disk'));
    await expect(first).rejects.toThrow('no disk');
    await finishNext(made.boots);
    expect((await second).record.sandboxId).toBe('i1');
  });

  it('rests after a failed refill instead of failing without end', async () => {
    const made = setUp({ size: 1 });
    pool = made.pool;
    pool.keep(templateOf('a'), { pinned: true });
    made.boots.shift()?.fail(new Error('no disk'));
    await sleep(20);
    expect(made.boots).toHaveLength(0);
  });

  it('never hands out a spare that died', async () => {
    const made = setUp({ size: 1 });
    pool = made.pool;
    pool.keep(templateOf('a'), { pinned: true });
    await finishNext(made.boots);
    pool.drop('i1');
    expect(pool.readyCount()).toBe(0);
    expect(made.boots).toHaveLength(1);
  });

  it('removes the spares of a template nobody uses, but not of a pinned one', async () => {
    const made = setUp({ size: 1 });
    pool = made.pool;
    pool.keep(templateOf('a'), { pinned: true });
    pool.keep(templateOf('b'), { pinned: false });
    await finishNext(made.boots);
    await finishNext(made.boots);
    await pool.sweep(Date.now() + 900);
    expect(made.discarded).toEqual([]);
    await pool.sweep(Date.now() + 2000);
    expect(made.discarded).toEqual(['i2']);
    expect(pool.readyCount()).toBe(1);
  });

  it('keeps the spares of two isolations of one template apart', async () => {
    const made = setUp({ size: 1 });
    pool = made.pool;
    pool.keep(templateOf('a'), { pinned: true });
    await finishNext(made.boots);
    const waiting = pool.take(templateOf('a', 'gvisor'));
    expect(pool.readyCount()).toBe(1);
    await finishNext(made.boots);
    expect((await waiting).record.sandboxId).toBe('i2');
  });

  it('refuses waiters when it closes, and is closed when no boot is under way any more', async () => {
    const made = setUp({ size: 0 });
    pool = made.pool;
    const waiting = pool.take(templateOf('a'));
    const refused = expect(waiting).rejects.toThrow('The server is stopping');
    let isClosed = false;
    const closed = pool.close().then(() => (isClosed = true));
    await refused;
    await sleep(5);
    // What is being booted would be left behind half-made.
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

  it('a spare that is put back serves whoever waits, before its own boot is ready', async () => {
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
    pool.keep(templateOf('a'), { pinned: true });
    await finishNext(made.boots);
    await finishNext(made.boots);
    expect((await pool.take(templateOf('a'))).record.sandboxId).toBe('i1');
    expect((await pool.take(templateOf('a'))).record.sandboxId).toBe('i2');
  });

  it('one that was kept for good stays so, whoever keeps it afterwards', async () => {
    const made = setUp({ size: 1 });
    pool = made.pool;
    pool.keep(templateOf('a'), { pinned: true });
    pool.keep(templateOf('a'), { pinned: false });
    await finishNext(made.boots);
    await pool.sweep(Date.now() + 1_000_000);
    expect(made.discarded).toEqual([]);
  });

  it('spares of a template in use stay', async () => {
    const made = setUp({ size: 1, idleMs: 50 });
    pool = made.pool;
    pool.keep(templateOf('a'), { pinned: false });
    await finishNext(made.boots);
    await sleep(60);
    await pool.take(templateOf('a'));
    await finishNext(made.boots);
    await pool.sweep(Date.now());
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

  it('a boot that failed for one who waited makes room for the next', async () => {
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
});
