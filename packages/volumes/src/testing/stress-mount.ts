import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree, run } from '@soulbox/base';
import { createVolume } from '../volume/open.ts';
import { mountVolume } from './mounted-volume.ts';
import { fioArguments, passedOf, stressArguments, stressMs, stressPrograms } from './stress-programs.ts';
import type { StressOptions } from './stress-programs.ts';

export { hasStressPrograms, stressors } from './stress-programs.ts';

/**
 * Runs stress-ng in a folder. Returns how many stressors passed; those that are not possible there are left out. Throws
 * what failed.
 */
export async function stress(folder: string, options: StressOptions): Promise<number> {
  const args = stressArguments(folder, options);
  // It writes its report to standard output.
  return passedOf(await run(stressPrograms.stressNg, args, { cwd: folder, timeoutMs: stressMs(options) }));
}

/** Runs fio. Throws if a byte differs. */
export async function verifyWrites(folder: string, megabytes: number): Promise<void> {
  await run(stressPrograms.fio, fioArguments(folder, megabytes), { cwd: folder, timeoutMs: 600_000 });
}

/** Runs the built pjdfstest of `source` in a folder. Returns the end of its report; throws it if a test failed. */
export async function testPosix(source: string, folder: string): Promise<string> {
  const report = await run('prove', ['-r', '--timer', join(source, 'tests')], { cwd: folder, timeoutMs: 3_600_000 });
  return report.trim().split('\n').slice(-3).join('\n');
}

/** Calls `work` with a folder on each kind of mount of a new volume: one that shares it, and a single one. */
export async function onEachMount(
  data: string,
  work: (folder: string, kind: 'shared' | 'single') => Promise<void>,
): Promise<void> {
  for (const [count, kind] of [
    [2, 'shared'],
    [1, 'single'],
  ] as const) {
    const place = join(data, kind);
    await mkdir(place);
    const quota = { bytes: undefined, inodes: 1_000_000 };
    createVolume(place, { id: 'v', quota, root: { uid: 0, gid: 0, mode: 0o755 } });
    const mounted = await mountVolume(place, count);
    try {
      const folder = join(mounted.mounts[0] ?? '', 'work');
      await mkdir(folder);
      await work(folder, kind);
      await removeTree(folder);
    } catch (cause) {
      throw new Error(`The server of the mount says: ${mounted.output()}\n${String(cause)}`, { cause });
    } finally {
      await mounted[Symbol.asyncDispose]();
    }
    if (mounted.output() !== 'ready\nunmounted\n') throw new Error(`The server of the mount says: ${mounted.output()}`);
    await removeTree(place);
  }
}
