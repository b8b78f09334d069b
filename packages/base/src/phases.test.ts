import { expect, test } from 'vitest';
import {
  collectOperations,
  measureOperation,
  phase,
  phaseBoundsSeconds,
  readPhaseFigures,
  wholeOperation,
} from './phases.ts';

/** A clock that the test sets, and a wait that advances it. */
function createTime(): { readonly now: () => number; readonly pass: (ms: number) => Promise<void> } {
  let at = 1000;
  return {
    now: () => at,
    pass: async (ms) => {
      at += ms;
      await Promise.resolve();
    },
  };
}

const figuresOf = (operation: string) =>
  Object.fromEntries(
    readPhaseFigures()
      .filter((entry) => entry.operation === operation)
      .map((entry) => [entry.phase, entry]),
  );

test('sequential phases get their own time, and gaps between them count only in the total', async () => {
  const { now, pass } = createTime();
  const times = await measureOperation(
    'one-by-one',
    async (finish) => {
      await phase('check', async () => await pass(10));
      await pass(5);
      await phase('restore', async () => await pass(20));
      await phase('check', async () => await pass(2));
      return finish();
    },
    now,
  );
  expect(times).toEqual({ durationMs: 37, phases: { check: 12, restore: 20 } });
});

test('the time of nested phases belongs to the inner one', async () => {
  const { now, pass } = createTime();
  const times = await measureOperation(
    'nested',
    async (finish) => {
      await phase('start', async () => {
        await pass(3);
        await phase('network', async () => await pass(7));
        await pass(1);
      });
      return finish();
    },
    now,
  );
  expect(times).toEqual({ durationMs: 11, phases: { start: 4, network: 7 } });
});

test('simultaneous phases together never take longer than the operation', async () => {
  const { now, pass } = createTime();
  const times = await measureOperation(
    'parallel',
    async (finish) => {
      const disk = Promise.withResolvers<undefined>();
      const memory = Promise.withResolvers<undefined>();
      const both = [phase('disk', () => disk.promise), phase('memory', () => memory.promise)];
      await pass(10);
      memory.resolve(undefined);
      await both[1];
      await pass(4);
      disk.resolve(undefined);
      await Promise.all(both);
      return finish();
    },
    now,
  );
  expect(times).toEqual({ durationMs: 14, phases: { disk: 4, memory: 10 } });
});

test('a nested operation is measured by itself', async () => {
  const { now, pass } = createTime();
  const inner = async () =>
    await measureOperation(
      'inner',
      async (finish) => {
        await phase('boot', async () => await pass(30));
        return finish();
      },
      now,
    );
  const times = await measureOperation(
    'outer',
    async (finish) => {
      await phase('pool', inner);
      return finish();
    },
    now,
  );
  expect(times).toEqual({ durationMs: 30, phases: { pool: 30 } });
  expect(Object.keys(figuresOf('inner'))).toEqual([wholeOperation, 'boot']);
});

test('work after the end of an operation does not change its times', async () => {
  const { now, pass } = createTime();
  const later = Promise.withResolvers<undefined>();
  let background: Promise<unknown> | undefined;
  await measureOperation(
    'background',
    async (finish) => {
      background = phase('seal', () => later.promise);
      await pass(2);
      finish();
    },
    now,
  );
  await pass(500);
  later.resolve(undefined);
  await background;
  expect(figuresOf('background')['seal']).toMatchObject({ total: 1, sumSeconds: 0.002 });
});

test('a failed operation is not counted, and a phase outside an operation still runs', async () => {
  const failing = measureOperation('failing', async () => {
    await phase('check', async () => await Promise.resolve());
    throw new Error('damaged');
  });
  await expect(failing).rejects.toThrow('damaged');
  expect(figuresOf('failing')).toEqual({});
  expect(await phase('check', async () => await Promise.resolve(6))).toBe(6);
});

test('figures count each observation once, in the bucket of its duration', async () => {
  const { now, pass } = createTime();
  for (const ms of [1, 20, 90_000])
    await measureOperation(
      'counted',
      async (finish) => {
        await phase('save', async () => await pass(ms));
        finish();
        finish();
      },
      now,
    );
  const { counts, total, sumSeconds } = figuresOf('counted')['save'] ?? {};
  expect(counts).toEqual(phaseBoundsSeconds.map((bound) => (bound === 0.001 || bound === 0.025 ? 1 : 0)));
  expect({ total, sumSeconds }).toEqual({ total: 3, sumSeconds: 90.021 });
});

test('operations are collected with those inside them, and what ends later or failed is left out', async () => {
  const { now, pass } = createTime();
  let end: () => void = () => undefined;
  const { result, operations } = await collectOperations(async () => {
    await measureOperation(
      'outer',
      async (finish) => {
        await phase('copies', async () => await pass(2));
        await measureOperation('inner', async (done) => await pass(5).then(done), now);
        finish();
        finish();
      },
      now,
    );
    await measureOperation('failed', async () => await Promise.reject(new Error('no')), now).catch(() => undefined);
    void measureOperation(
      'later',
      async (finish) => await new Promise<void>((resolve) => (end = resolve)).then(finish),
      now,
    );
    return 7;
  });
  end();
  await pass(0);
  expect(result).toBe(7);
  expect(operations).toEqual([
    { operation: 'inner', durationMs: 5, phases: {} },
    { operation: 'outer', durationMs: 7, phases: { copies: 2 } },
  ]);
});

test('two callers at the same time collect only their own operations', async () => {
  const collect = async (name: string): Promise<string[]> => {
    const { operations } = await collectOperations(async () => {
      await new Promise((resolve) => setImmediate(resolve));
      await measureOperation(name, async (finish) => await Promise.resolve(finish()));
    });
    return operations.map(({ operation }) => operation);
  };
  expect(await Promise.all([collect('one'), collect('other')])).toEqual([['one'], ['other']]);
});
