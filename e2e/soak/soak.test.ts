/** @module-tag violation */
import { expect, test } from 'vitest';
import { renderReport } from './render-report.ts';
import { runSoak } from './run-soak.ts';
import type { SoakReport } from './run-soak.ts';

// The short form of `npm run soak`, which takes an hour.
test('hostile clients and programs do not slow down normal traffic or cost memory', { timeout: 600_000 }, async () => {
  // A slow run on a machine that others share is no fault, three in a row are.
  const slowdowns: (string | undefined)[] = [];
  while (slowdowns.length < 3 && !slowdowns.includes(undefined)) slowdowns.push((await soak()).slowdown);
  expect(slowdowns.at(-1), slowdowns.join('; ')).toBeUndefined();
});

async function soak(): Promise<SoakReport> {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const report = await runSoak({
    instance: 5,
    isolation: 'container',
    minutes: 0.5,
    connections: 100,
    lanes: 1,
    seed,
  });
  console.log(`seed ${seed}\n${renderReport(report)}`);
  expect(report.counts.cycles).toBeGreaterThan(0);
  expect(report.violations, report.violations.join('; ')).toEqual([]);
  return report;
}
