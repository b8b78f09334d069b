import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findProcess, isRunning, removeTree, SoulBoxError } from '@soulbox/base';
import type { ProcessIdentity } from '@soulbox/base';

const ownerFile = 'owner.json';
// The lock is held for a few milliseconds while a template is published; a longer wait means a fault.
const waitMs = 10_000;

/** Records in `directory` which process works in it, so that others can distinguish leftovers from work in progress. */
export async function writeOwner(directory: string): Promise<void> {
  await writeFile(join(directory, ownerFile), JSON.stringify(findProcess(process.pid)), { mode: 0o600 });
}

/** Whether the process recorded by `writeOwner` still runs. Without a readable record it does not. */
export async function hasLiveOwner(directory: string): Promise<boolean> {
  try {
    const owner = JSON.parse(await readFile(join(directory, ownerFile), 'utf8')) as Partial<ProcessIdentity> | null;
    const { pid, startTicks } = owner ?? {};
    return typeof pid === 'number' && typeof startTicks === 'number' && isRunning({ pid, startTicks });
  } catch {
    return false;
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
    // The record is written right after the folder is created: wait for that moment before assuming that the owner is
    // dead.
    await sleep(50);
    if (!(await hasLiveOwner(lock))) await removeTree(lock);
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
