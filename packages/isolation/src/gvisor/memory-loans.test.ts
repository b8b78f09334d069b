import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { expect, onTestFinished, test } from 'vitest';
import type { Cgroups } from '../cgroup/cgroups.ts';
import type { SandboxInstance } from '../driver.ts';
import { createMemoryLoans } from './memory-loans.ts';

// The conformance suite saves a real sandbox. Here the kernel is played: it keeps a limit that is below what is used.
test('a loan is never more than the limit, and a sandbox that keeps it too long is ended', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'soulbox-loans-'));
  onTestFinished(() => removeTree(directory));
  const limit = 512 * 2 ** 20;
  await writeFile(join(directory, 'config.json'), JSON.stringify({ linux: { resources: { memory: { limit } } } }));
  const [limits, ended]: [number[], string[]] = [[], []];
  const cgroups = {
    readUsage: () => ({ memoryWorkingSetBytes: 4 * limit }),
    setMemoryLimit: (_group: string, bytes: number) => {
      limits.push(bytes);
      return bytes > limit;
    },
    kill: async (group: string) => await Promise.resolve(void ended.push(group)),
  } as unknown as Cgroups;
  const loans = createMemoryLoans({ cgroups, instance: 11, logger: silentLogger }, 300);
  const instance = { sandboxId: 'ihoarder', directory } as SandboxInstance;
  for (let saves = 0; saves < 2; saves++)
    expect(await loans.during(instance, () => Promise.resolve('saved'))).toBe('saved');
  expect(Math.max(...limits)).toBe(2 * limit + 64 * 2 ** 20);
  expect(ended).toEqual([]);
  await expect.poll(() => ended, { timeout: 3000 }).toEqual(['/soulbox-11/ihoarder']);
});
