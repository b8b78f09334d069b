/** @module-tag violation */
import { expect, inject, test } from 'vitest';
import { runCrash } from './run-crash.ts';

/** Some boundaries of some operations. `npm run crash` tries them all. */
const few = { operations: 4, perOperation: 2 };

test(
  'a runner that is killed during an operation leaves nothing lost, hidden or duplicated',
  { timeout: 600_000 },
  async () => {
    const { isolation } = inject('server');
    // Another choice each time. The seed repeats the choice of a run.
    const seed = Math.floor(Math.random() * 2 ** 31);
    const report = await runCrash({
      ...{ instance: 14, isolation: isolation === 'gvisor' ? 'gvisor' : 'container', seed, only: '', ...few },
      onProgress: () => undefined,
    });
    console.log(`seed ${seed}: ${report.rounds} rounds, ${report.kills} kills`, ...report.violations);
    expect(report.kills).toBeGreaterThan(0);
    expect(report.violations, report.violations.join('; ')).toEqual([]);
    expect(report.leftovers, report.leftovers.join('; ')).toEqual([]);
  },
);
