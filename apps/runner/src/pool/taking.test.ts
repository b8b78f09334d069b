import { setTimeout as sleep } from 'node:timers/promises';
import { collectOperations } from '@soulbox/base';
import { afterEach, describe, expect, it } from 'vitest';
import type { LiveSandbox } from '../registry/table.ts';
import type { Pool } from './pool.ts';
import { finishNext, setUp, templateOf } from './testing/pool-bench.ts';

describe('the warm pool', () => {
  let pool: Pool | undefined;
  afterEach(() => {
    void pool?.close();
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

  it('tells a create the times of the boot that it started, and no other one', async () => {
    const made = setUp({ size: 0 });
    pool = made.pool;
    const first = collectOperations(async () => await made.pool.take(templateOf('a')));
    await finishNext(made.boots);
    expect((await first).operations).toMatchObject([{ operation: 'boot' }]);
    const second = collectOperations(async () => await made.pool.take(templateOf('b')));
    const third = collectOperations(async () => await made.pool.take(templateOf('c')));
    await finishNext(made.boots);
    await finishNext(made.boots);
    expect([(await second).operations.length, (await third).operations.length]).toEqual([1, 1]);
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

  it('never hands out a spare that died', async () => {
    const made = setUp({ size: 1 });
    pool = made.pool;
    pool.pin(templateOf('a'));
    await finishNext(made.boots);
    pool.drop('i1');
    expect(pool.readyCount()).toBe(0);
    expect(made.boots).toHaveLength(1);
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
});
