import { expect, test } from 'vitest';
import { readCurrent, readRecorded } from './recipe-revisions.ts';

const recorded = readRecorded();

test.each(Object.entries(readCurrent()))('a template with other programs of %s has another revision', (app, now) => {
  const before = recorded[app];
  // First increase `revision` in its build/recipe.ts, then run `node scripts/recipe-revisions.ts`.
  if (before?.sha256 !== now.sha256) expect(now.revision).toBeGreaterThan(before?.revision ?? 0);
  expect(before).toEqual(now);
});
