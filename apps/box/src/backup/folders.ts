import { mkdir, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errorFromNode, removeTree, SoulBoxError } from '@soulbox/base';

/** Creates a folder to be filled, with mode 0700. Throws `bad_path` for a folder that is not empty. */
export async function openTarget(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    if ((await readdir(directory)).filter((name) => name !== 'lost+found').length === 0) return;
  } catch (error) {
    throw errorFromNode(error, `The folder ${directory} cannot be created.`);
  }
  throw new SoulBoxError('bad_path', `${directory} is not empty. Choose a new folder, or empty it first.`);
}

/** Removes the contents only, because the folder may be a mount. */
export async function emptyFolder(directory: string): Promise<void> {
  for (const name of await readdir(directory)) if (name !== 'lost+found') await removeTree(join(directory, name));
}

/** Afterwards the names in the folder are durable on the disk. */
export async function flushFolder(directory: string): Promise<void> {
  const folder = await open(directory, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
