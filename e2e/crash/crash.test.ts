/** @module-tag violation */
import { expect, inject, test } from 'vitest';
import { runCrash } from './run-crash.ts';

/** A few of each operation's boundaries; `npm run crash` tries them all. */
const perOperation = 2;

test(
  'a runner killed in the middle of any operation leaves nothing lost, hidden or double',
  { timeout: 600_000 },
  async () => {
    const { isolation } = inject('server');
    // Another choice each time: what a run has tried is found again by its seed.
    const seed = Math.floor(Math.random() * 2 ** 31);
    const report = await runCrash({
      ...{ instance: 14, isolation: isolation === 'gvisor' ? 'gvisor' : 'container', perOperation, seed, only: '' },
      onProgress: () => undefined,
    });
    console.log(`seed ${seed}: ${report.rounds} rounds, ${report.kills} kills`);
    expect(report.kills).toBeGreaterThan(0);
    expect(report.violations).toEqual([]);
    expect(report.leftovers).toEqual([]);
  },
);
