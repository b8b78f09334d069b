import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SoulBoxError, errorFromUnknown, removeTree, run } from '@soulbox/base';
import { draftSuffix } from '../names.ts';

const program = fileURLToPath(new URL('./flatten-process.ts', import.meta.url));
/** Reading and writing a full disk of 10 GiB takes half a minute. A million small files take a minute. */
const timeoutMs = 900_000;

/** Makes the image `target` with the merged content of `images`, topmost first. After an error there is no `target`. */
export async function flattenImages(images: readonly string[], target: string): Promise<void> {
  const draft = target + draftSuffix;
  try {
    await mkdir(draft, { mode: 0o700 });
    const image = join(draft, 'image');
    // The process ends with its server, because then nothing uses its result.
    const prefix = ['--pdeathsig', 'KILL', '--', 'unshare', '--mount', '--propagation', 'private', '--'];
    await run('setpriv', [...prefix, process.execPath, program, draft, image, ...images], { timeoutMs });
    await rename(image, target);
  } catch (error) {
    throw flattenError(error);
  } finally {
    await removeTree(draft);
  }
}

function flattenError(error: unknown): SoulBoxError {
  const isFull = /No space left|ENOSPC|errno 28\b/.test(String(error));
  if (isFull)
    return new SoulBoxError('disk_full', 'The disk of the host does not have enough space to merge layers.', {
      cause: error,
    });
  return errorFromUnknown(error);
}
