import { opendir } from 'node:fs/promises';
import type { Dir } from 'node:fs';
import { isNodeError } from '@soulbox/base';

export interface WalkedEntry {
  /** From the folder on: `./a/b`. Names are bytes. */
  readonly path: Buffer;
  readonly kind: 'file' | 'folder' | 'link' | 'special';
}

const slash = Buffer.from('/');

/** Everything in a folder, each folder before its contents. Follows no links below the folder. */
export async function* walk(
  root: string,
  isWanted: (entry: WalkedEntry) => boolean = () => true,
): AsyncGenerator<WalkedEntry> {
  yield { path: Buffer.from('./'), kind: 'folder' };
  const open: { readonly path: Buffer; readonly folder: Dir }[] = [];
  const enter = async (path: Buffer): Promise<void> => {
    const place = Buffer.concat([Buffer.from(root), slash, path]);
    try {
      open.push({ path, folder: await opendir(place, { encoding: 'buffer' as BufferEncoding }) });
    } catch (error) {
      // It has vanished since it was found. The root is open all the time.
      const isGone = isNodeError(error) && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
      if (!isGone || open.length === 0) throw error;
    }
  };
  try {
    await enter(Buffer.from('.'));
    for (let level = open.at(-1); level !== undefined; level = open.at(-1)) {
      const found = await level.folder.read();
      if (found === null) {
        open.pop();
        await level.folder.close();
        continue;
      }
      // The types of Node know names as text only.
      const path = Buffer.concat([level.path, slash, found.name as unknown as Buffer]);
      const kind = found.isDirectory()
        ? 'folder'
        : found.isFile()
          ? 'file'
          : found.isSymbolicLink()
            ? 'link'
            : 'special';
      const entry: WalkedEntry = { path, kind };
      if (!isWanted(entry)) continue;
      yield entry;
      if (kind === 'folder') await enter(path);
    }
  } finally {
    for (const { folder } of open) await folder.close().catch(() => undefined);
  }
}
