import { FuseError } from '@soulbox/fuse';
import type { FuseDirEntry, FuseEntry } from '@soulbox/fuse';
import { folderType, isFolder, typeOf } from '../metadata/inode.ts';
import type { Inode } from '../metadata/inode.ts';
import type { Metadata } from '../metadata/metadata.ts';

/** Cookies of `.` and `..`. Those of entries are their numbers, which begin behind. */
const dotCookie = 1;
const upCookie = 2;
/** Most folders are read in one call, and a reader that stops early has not asked for all of a large one. */
const entriesAtOnce = 128;

export interface ReadFolder {
  readonly cookie: number;
  readonly maxEntries: number;
  /** For entries with their attributes, which the kernel then knows. */
  readonly entryOf: ((inode: Inode) => FuseEntry) | undefined;
}

export async function readFolder(
  metadata: Metadata,
  ino: number,
  { cookie, maxEntries, entryOf }: ReadFolder,
): Promise<Iterable<FuseDirEntry>> {
  const folder = await metadata.find(ino);
  if (folder === undefined) throw new FuseError('ESTALE');
  if (!isFolder(folder)) throw new FuseError('ENOTDIR');
  const limit = Math.min(maxEntries, entriesAtOnce);
  const entries = folder.nlink === 0 ? [] : await metadata.list(ino, Math.max(cookie, upCookie), limit);
  if (cookie === 0) metadata.touch(folder);
  return lazily(folder, entries);

  function* lazily(of: Inode, found: typeof entries): Generator<FuseDirEntry> {
    if (cookie < dotCookie) yield { name: Buffer.from('.'), ino, type: folderType, cookie: dotCookie };
    if (cookie < upCookie) yield { name: Buffer.from('..'), ino: of.parent, type: folderType, cookie: upCookie };
    for (const { name, seq, inode } of found) {
      const entry = entryOf === undefined ? {} : { entry: entryOf(inode) };
      yield { name, ino: inode.ino, type: typeOf(inode.mode), cookie: seq, ...entry };
    }
  }
}
