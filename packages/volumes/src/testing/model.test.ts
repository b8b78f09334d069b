/** @module-tag violation */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { test } from 'vitest';
import { compareWithModel } from './compare-with-model.ts';

/** `npm run test:storage` is the long form. */
const steps = 160;

test.each([1, 2, Math.floor(Math.random() * 1e6)])(
  'a volume is equal to a model after random operations (seed %i)',
  async (seed) => {
    const data = mkdtempSync(join(tmpdir(), 'soulbox-volume-'));
    try {
      await compareWithModel({ data, seed, steps });
    } finally {
      await removeTree(data);
    }
  },
);
