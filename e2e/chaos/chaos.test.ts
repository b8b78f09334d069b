/** @module-tag violation */
import { expect, test } from 'vitest';
import { renderReport } from './render-report.ts';
import { runChaos } from './run-chaos.ts';

/** Enough to hit each kind of moment. `npm run chaos` runs hundreds. */
const maxKills = 8;

test(
  'a server that is killed again and again breaks no promise and leaves nothing behind',
  { timeout: 360_000 },
  async () => {
    const report = await runChaos({ instance: 4, cycles: 12, lanes: 4, seed: 20_261, maxKills });
    console.log(renderReport(report));
    expect(report.kills.kills).toBeGreaterThan(0);
    expect(report.violations, report.violations.join('; ')).toEqual([]);
    expect(report.leftovers, report.leftovers.join('; ')).toEqual([]);
  },
);
