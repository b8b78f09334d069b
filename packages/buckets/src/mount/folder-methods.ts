import { FuseError } from '@soulbox/fuse';
import type { FuseFs } from '@soulbox/fuse';
import { openFilesMax } from '../limits.ts';
import { createFolderList } from '../names/folder-list.ts';
import type { FolderList } from '../names/folder-list.ts';
import { folderOf } from '../names/keys.ts';
import { folderKeyOf } from './bucket-mount.ts';
import type { BucketMount } from './bucket-mount.ts';

type FolderMethods = Required<Pick<FuseFs, 'opendir' | 'readdir' | 'releasedir' | 'fsyncdir'>>;

export function folderMethods(mount: BucketMount): FolderMethods {
  const { store, facts, files } = mount;
  const lists = new Map<number, FolderList>();
  // Not those of the process before this one.
  let fh = (Math.floor(Date.now() / 1000) % 2 ** 20) * 2 ** 32;

  const localNames = (folder: string): ReadonlyMap<string, 'file' | 'folder'> => {
    const names = new Map<string, 'file' | 'folder'>(facts.keptIn(folder).map((name) => [name, 'folder']));
    for (const { key, version } of files.all())
      if (key !== undefined && version === undefined && folderOf(key) === folder)
        names.set(key.slice(folder.length), 'file');
    return names;
  };
  const open = (own: number, nodeId: number): FolderList => {
    if (lists.size >= openFilesMax) throw new FuseError('ENFILE', 'A mount of a bucket has too many open folders.');
    const folder = folderKeyOf(mount, nodeId);
    const list = createFolderList({ store, facts, folder, localNames: () => localNames(folder) });
    lists.set(own, list);
    return list;
  };
  return {
    opendir(nodeId) {
      fh += 1;
      open(fh, nodeId);
      return { fh };
    },
    async readdir(nodeId, own, cookie, maxEntries) {
      return await (lists.get(own) ?? open(own, nodeId)).read(cookie, maxEntries);
    },
    releasedir: (_nodeId, own) => void lists.delete(own),
    // What is made in a folder is in the store already.
    fsyncdir: () => undefined,
  };
}
