/** @module-tag violation */
import { expect, test } from 'vitest';
import { runMoments } from './run-moments.ts';

/** Out of some thousands. `npm run moments` tries them all. */
const cases = 20;

test('a route that is called during a transition loses no sandbox', { timeout: 300_000 }, async () => {
  // Another choice each time. The seed repeats the choice of a run.
  const seed = Math.floor(Math.random() * 2 ** 31);
  const report = await runMoments({
    ...{ instance: 13, isolation: 'container', moments: 3, cases, lanes: 3, seed },
    onProgress: () => undefined,
  });
  console.log(`seed ${seed}: ${JSON.stringify(report.statuses)}`);
  expect(report.cases).toBe(cases);
  expect(report.violations, report.violations.join('; ')).toEqual([]);
});
