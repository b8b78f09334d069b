import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isNodeError, SoulBoxError } from '@soulbox/base';

const freezeTimeoutMs = 5_000;
/**
 * Number of checks without a delay. Most groups stop within a millisecond, which is less than the shortest timer, and
 * the caller waits for that.
 */
const eagerLooks = 20;

/**
 * Writes `freeze` into `control` and waits until `isFrozen` accepts the content of `state`. A process in the middle of
 * a long kernel call can delay that. After 5 s, all processes are thawed again (`thaw`), and it throws
 * `checkpoint_failed`.
 */
export async function freezeGroup(
  control: string,
  freeze: string,
  thaw: string,
  isFrozen: (state: string) => boolean,
  state = control,
): Promise<void> {
  await writeFile(control, freeze, { flag: 'r+' });
  const deadline = Date.now() + freezeTimeoutMs;
  let waitMs = 1;
  for (let looks = 0; !isFrozen(await readFile(state, 'latin1')); looks++) {
    if (Date.now() > deadline) {
      await writeIfThere(control, thaw);
      throw new SoulBoxError('checkpoint_failed', 'A program could not be frozen within 5 s.');
    }
    if (looks < eagerLooks) continue;
    await sleep(waitMs);
    waitMs = Math.min(waitMs * 2, 20);
  }
}

/** Writes into a file of a group; returns false if the group or the file does not exist. */
export async function writeIfThere(path: string, text: string): Promise<boolean> {
  try {
    await writeFile(path, text, { flag: 'r+' });
    return true;
  } catch (error) {
    if (isNodeError(error) && (error.code === 'ENOENT' || error.code === 'ENODEV')) return false;
    throw error;
  }
}
