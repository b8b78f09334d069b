/** @module-tag violation */
import { expect, test } from 'vitest';
import { runFill } from './run-fill.ts';

/** Enough to fill a small disk in every way. `npm run fill` has twenty sandboxes on a larger disk. */
test(
  'no accepted write is lost on a full disk, whoever filled it and whatever was killed',
  { timeout: 180_000 },
  async () => {
    const report = await runFill({
      ...{ instance: 6, isolation: 'container', sandboxes: 4, hostMb: 1300, partMs: 2_000 },
      // On such a small disk a program outside is faster than the reserve allows for (decision 019).
      attacks: ['server'],
      environment: { SOULBOX_DISK_OVERCOMMIT: '200', SOULBOX_DISK_RESERVE_MB: '128' },
    });
    expect(report.violations, report.violations.join('; ')).toEqual([]);
    expect(report.bad).toBe(0);
    expect(report.refused).toBeGreaterThan(0);
    expect(report.good).toBeGreaterThan(1000);
    expect(report.leastFreeBytes).toBeGreaterThanOrEqual(128 * 2 ** 20);
  },
);
