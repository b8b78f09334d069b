import { readFile, writeFile } from 'node:fs/promises';
import { isNodeError, sleep, SoulBoxError } from '@soulbox/base';

const freezeTimeoutMs = 5_000;
/** Most groups stop within a millisecond, which is less than the shortest timer; somebody waits for that. */
const eagerLooks = 20;

/**
 * Writes `freeze` into `control` and waits until `isFrozen` holds for what stands in `state`. A process in the middle of
 * a long call into the kernel can hold that up: after 5 s all go on (`thaw`), and it throws `checkpoint_failed`.
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

/** Writes into a file of a group; false when group or file is not there. */
export async function writeIfThere(path: string, text: string): Promise<boolean> {
  try {
    await writeFile(path, text, { flag: 'r+' });
    return true;
  } catch (error) {
    if (isNodeError(error) && (error.code === 'ENOENT' || error.code === 'ENODEV')) return false;
    throw error;
  }
}
