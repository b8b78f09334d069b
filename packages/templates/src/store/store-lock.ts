import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findProcess, isRunning, removeTree, SoulBoxError } from '@soulbox/base';
import type { ProcessIdentity } from '@soulbox/base';

const ownerFile = 'owner.json';
// The lock is held for a few milliseconds while a template is published; a longer wait means a fault.
const waitMs = 10_000;
/** On a busy host the record can follow its folder late. */
const youngMs = 5000;

/** Records in `directory` which process works in it, so that others can distinguish leftovers from work in progress. */
export async function writeOwner(directory: string): Promise<void> {
  await writeFile(join(directory, ownerFile), JSON.stringify(findProcess(process.pid)), { mode: 0o600 });
}

/**
 * Whether the process recorded by `writeOwner` is gone. A folder without a complete record counts as abandoned after
 * `youngMs`: before, its process may be about to write it.
 */
export async function isAbandoned(directory: string, youngMs: number): Promise<boolean> {
  const owner = await readOwner(directory);
  if (owner !== undefined) return !isRunning(owner);
  const made = await stat(directory).catch(() => undefined);
  return made !== undefined && Date.now() - made.mtimeMs > youngMs;
}

async function readOwner(directory: string): Promise<ProcessIdentity | undefined> {
  try {
    const owner = JSON.parse(await readFile(join(directory, ownerFile), 'utf8')) as Partial<ProcessIdentity> | null;
    const { pid, startTicks } = owner ?? {};
    return typeof pid === 'number' && typeof startTicks === 'number' ? { pid, startTicks } : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Runs `work` while no other process or call does so in the same store. The lock covers the time from the check that
 * the name is free until the name is taken; without it two imports could publish the same name.
 */
export async function withStoreLock<T>(storeDirectory: string, work: () => Promise<T>): Promise<T> {
  const lock = join(storeDirectory, '.lock');
  const deadline = Date.now() + waitMs;
  for (;;) {
    if (await tryMakeDirectory(lock)) break;
    if (Date.now() > deadline) {
      throw new SoulBoxError('name_taken', `Another process holds the lock ${lock}. Retry when it has finished.`);
    }
    await sleep(50);
    if (await isAbandoned(lock, youngMs)) await removeTree(lock);
  }
  try {
    await writeOwner(lock);
    return await work();
  } finally {
    await removeTree(lock);
  }
}

async function tryMakeDirectory(path: string): Promise<boolean> {
  try {
    await mkdir(path, { mode: 0o700 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}
