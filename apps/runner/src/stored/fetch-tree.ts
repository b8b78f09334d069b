import { chmod, chown, lstat, mkdir, readdir, rename, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorFromNode, randomId, removeTree } from '@soulbox/base';
import { isThere } from './paths.ts';

const draftForm = /^fetched-[a-z0-9]+\.tmp$/;

/**
 * Unpacks into a folder beside the target, which `unpack` gets, and puts what it finds there at `from` at its place by
 * one rename. A name that is there already is kept. After an error, and after the end of this process, nothing is
 * visible; what it leaves has a name that ends with `.tmp`.
 */
export async function placeTree(
  parent: string,
  from: string,
  name: string,
  unpack: (draft: string) => Promise<void>,
): Promise<void> {
  await inDraft(parent, from, unpack, async (draft) => {
    if (!(await isThere(join(parent, name)))) await rename(join(draft, from), join(parent, name));
  });
}

/** The same for the files of a folder. Those that are `last` are moved last: with them, all are there. */
export async function placeFiles(
  parent: string,
  from: string,
  isLast: (name: string) => boolean,
  unpack: (draft: string) => Promise<void>,
): Promise<void> {
  await mkdir(parent, { recursive: true, mode: 0o700 });
  await inDraft(parent, join(from, 'all'), unpack, async (draft) => {
    const source = join(draft, from);
    const names = await readdir(source);
    for (const name of [...names.filter((one) => !isLast(one)), ...names.filter(isLast)])
      await rename(join(source, name), join(parent, name));
    const { uid, gid, mode } = await lstat(source);
    await chown(parent, uid, gid);
    await chmod(parent, mode & 0o7777);
  });
}

/** Removes what a killed process has left in a folder. */
export async function sweepDrafts(parent: string): Promise<void> {
  for (const name of await readdir(parent).catch(() => []))
    if (draftForm.test(name)) await removeTree(join(parent, name));
}

/** `from`: the name in the draft of which the folder above is empty at the end. */
async function inDraft(
  parent: string,
  from: string,
  unpack: (draft: string) => Promise<void>,
  place: (draft: string) => Promise<void>,
): Promise<void> {
  const draft = join(parent, `fetched-${randomId(8)}.tmp`);
  try {
    await mkdir(draft, { recursive: true, mode: 0o700 });
    await unpack(draft);
    await place(draft);
    // Without the process of `removeTree`, if all has been taken out of it.
    for (let path = join(draft, dirname(from)); path !== parent; path = dirname(path))
      await rmdir(path).catch(() => undefined);
  } catch (error) {
    throw errorFromNode(error, 'What the object store has could not be written to the disk of the host.');
  } finally {
    if (await isThere(draft)) await removeTree(draft);
  }
}
