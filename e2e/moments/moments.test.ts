/** @module-tag violation */
import { expect, test } from 'vitest';
import { runMoments } from './run-moments.ts';

/** Of some thousand; `npm run moments` tries them all. */
const cases = 40;

test('a route called in the middle of a transition loses no sandbox', { timeout: 300_000 }, async () => {
  // Another choice each time: what a run has tried is found again by its seed.
  const seed = Math.floor(Math.random() * 2 ** 31);
  const report = await runMoments({
    ...{ instance: 13, isolation: 'container', moments: 3, cases, lanes: 3, seed },
    onProgress: () => undefined,
  });
  console.log(`seed ${seed}: ${JSON.stringify(report.statuses)}`);
  expect(report.cases).toBe(cases);
  expect(report.violations).toEqual([]);
});
