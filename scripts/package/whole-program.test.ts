import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { expect, test } from 'vitest';
import { findFaults } from './find-faults.ts';
import { stageProgram } from './stage-program.ts';

test('the program of the packages imports only what they have, and its documents have no dead link', async () => {
  const target = await mkdtemp(join(tmpdir(), 'soulbox-program-'));
  try {
    const staged = await stageProgram(join(import.meta.dirname, '../..'), target);
    expect(findFaults(target, staged)).toEqual([]);
  } finally {
    await removeTree(target);
  }
});
