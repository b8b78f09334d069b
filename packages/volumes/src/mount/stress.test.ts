/** @module-tag violation */
import { existsSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { isThere } from '@soulbox/testing';
import { expect, test } from 'vitest';
import { hasStressPrograms, onEachMount, stress, verifyWrites } from '../testing/stress-mount.ts';

const isPossible = isThere('stress-ng and fio', hasStressPrograms()) && isThere('/dev/fuse', existsSync('/dev/fuse'));

/** `npm run test:storage` has all. */
const some = ['rename', 'chmod', 'lockmix', 'metamix', 'xattr', 'filerace'];

test.skipIf(!isPossible)('a mounted volume passes programs that try file systems', { timeout: 300_000 }, async () => {
  const data = await mkdtemp(join(tmpdir(), 'soulbox-stress-'));
  try {
    await onEachMount(data, async (folder) => {
      expect(await stress(folder, { stressors: some, seconds: 1 })).toBe(some.length);
      await verifyWrites(folder, 16);
    });
  } finally {
    await removeTree(data);
  }
});
