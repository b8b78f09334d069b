import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readDirtied } from './read-dirtied.ts';

const mib = 2 ** 20;

test('a file that is written counts, less what the kernel counts late', async () => {
  // On a disk: files in memory do not count.
  await mkdir('/var/lib/soulbox-test', { recursive: true, mode: 0o700 });
  const folder = await mkdtemp('/var/lib/soulbox-test/dirtied-');
  const before = readDirtied();
  await writeFile(join(folder, 'file'), Buffer.alloc(96 * mib));
  const written = readDirtied() - before;
  await rm(folder, { recursive: true });
  expect(written).toBeGreaterThan(32 * mib);
});
