import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { removeTree } from '@soulbox/base';

/** In memory where there is such a file system. Vitest's own process makes it, so its name is the same in all workers. */
export const memoryFolder = `${process.platform === 'linux' ? '/dev/shm' : tmpdir()}/soulbox-tests-${process.pid}`;

/** Runs before and after the tests that use it. */
export default async function makeMemoryFolder(): Promise<() => Promise<void>> {
  await mkdir(memoryFolder, { recursive: true });
  return async () => await removeTree(memoryFolder);
}
