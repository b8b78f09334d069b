/** @module-tag violation */
import { expect, it } from 'vitest';
import { killWriter } from './testing/kill-writer.ts';

/** `npm run test:audit-kills` is the long form. */
const rounds = 12;

it('a writer that is killed at any moment loses no durable record, repeats none, and leaves a log that is verified', async () => {
  const report = await killWriter({ rounds, random: Math.random });
  expect(report.violations).toEqual([]);
  expect(report.durable).toBeGreaterThan(rounds);
  expect(report.early).toBeLessThan(rounds);
}, 120_000);
