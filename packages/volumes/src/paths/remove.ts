import { FuseError } from '@soulbox/fuse';
import { depthMax } from '../limits.ts';
import { isFolder } from '../metadata/inode.ts';
import type { Volume } from '../volume/open.ts';

const entriesAtOnce = 256;

/** Removes everything in a folder, the deepest first. What others add meanwhile is removed too, for one more turn. */
export async function removeTreeOf(volume: Volume, root: number, signal: AbortSignal | undefined): Promise<void> {
  interface Level {
    readonly ino: number;
    readonly name: Uint8Array;
  }
  const above: Level[] = [{ ino: root, name: Buffer.alloc(0) }];
  for (let level = above.at(-1); level !== undefined; level = above.at(-1)) {
    signal?.throwIfAborted();
    const { ino } = level;
    const entries = await volume.metadata.list(ino, 0, entriesAtOnce);
    const folder = entries.find(({ inode }) => isFolder(inode));
    const others = entries.filter(({ inode }) => !isFolder(inode));
    await Promise.all(others.map(async ({ name }) => await ignoreMissing(volume.unlink(ino, name))));
    if (folder !== undefined) {
      if (above.length > depthMax) throw new FuseError('ELOOP');
      above.push({ ino: folder.inode.ino, name: folder.name });
      continue;
    }
    if (entries.length > 0) continue;
    above.pop();
    const parent = above.at(-1);
    if (parent !== undefined) await removeEmpty(volume, parent.ino, level);
  }
}

async function removeEmpty(volume: Volume, parent: number, { name }: { readonly name: Uint8Array }): Promise<void> {
  try {
    await ignoreMissing(volume.removeFolder(parent, name));
  } catch (thrown) {
    // Something was added since: the folder is found again.
    if (!(thrown instanceof FuseError) || thrown.code !== 'ENOTEMPTY') throw thrown;
  }
}

/** Somebody else removed it, or moved it away. */
async function ignoreMissing(removal: Promise<void>): Promise<void> {
  try {
    await removal;
  } catch (thrown) {
    if (!(thrown instanceof FuseError) || !['ENOENT', 'EISDIR', 'ENOTDIR'].includes(thrown.code)) throw thrown;
  }
}
