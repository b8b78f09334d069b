/** @module-tag violation */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { expect, test } from 'vitest';
import { killWriter } from './kill-writer.ts';

/** `npm run test:storage` is the long form. */
const rounds = 20;
const compileCache = join(import.meta.dirname, '../../../../node_modules/.cache/tests-compile');

test('a process that is killed at any moment loses nothing that it answered, and leaves a sound volume', async () => {
  const data = mkdtempSync(join(tmpdir(), 'soulbox-volume-'));
  try {
    const report = await killWriter({ data, rounds, lifeMsMax: 30, random: Math.random, compileCache });
    expect(report.violations).toEqual([]);
    expect(report.answered).toBeGreaterThan(rounds);
  } finally {
    await removeTree(data);
  }
});
