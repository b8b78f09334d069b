import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { expect, test } from 'vitest';
import { checkProgram } from './check-program.ts';
import { findDeadLinks } from './dead-links.ts';
import { nodePackage } from './npm-package.ts';
import { sandboxPrograms, stageProgram } from './stage-program.ts';

test('the program of the packages imports only what they have, and its documents have no dead link', async () => {
  const target = await mkdtemp(join(tmpdir(), 'soulbox-program-'));
  try {
    const { dependencies, pages } = await stageProgram(join(import.meta.dirname, '../..'), target);
    const known = { dependencies: new Set([...dependencies, nodePackage]), bundles: sandboxPrograms };
    expect(checkProgram(target, known)).toEqual([]);
    expect(findDeadLinks(target, pages)).toEqual([]);
  } finally {
    await removeTree(target);
  }
});
