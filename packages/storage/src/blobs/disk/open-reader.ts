import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import type { BlobStore } from '../blobs.ts';
import { nameFromKey } from './file-name.ts';
import { listDiskBlobs } from './list.ts';

/**
 * Reads blobs of a folder that another, untrusted process writes. No link is followed, and only plain files of the
 * folder's own user are read. Otherwise a hard or symbolic link planted there would make a reader that runs as root
 * give away any file of the host. The caller must trust the folders above. A missing folder has no blobs.
 */
export function openBlobReader({ directory }: { readonly directory: string }): Pick<BlobStore, 'list' | 'read'> {
  return {
    list: async (prefix) => await listDiskBlobs(directory, prefix),
    async read(key, range) {
      const file = await openBlob(directory, nameFromKey(key));
      if (file === undefined) return undefined;
      if (range === undefined) return file.createReadStream();
      if (range.length === 0) {
        await file.close();
        return Readable.from([]);
      }
      return file.createReadStream({ start: range.offset, end: range.offset + range.length - 1 });
    },
  };
}

async function openBlob(directory: string, name: string): Promise<FileHandle | undefined> {
  const folder = await openIfThere(directory, constants.O_DIRECTORY);
  if (folder === undefined) return undefined;
  try {
    // Relative to the open folder: nobody can replace it with another one meanwhile.
    const file = await openIfThere(`/proc/self/fd/${folder.fd}/${name}`, constants.O_NONBLOCK);
    if (file === undefined) return undefined;
    const [owner, found] = await Promise.all([folder.stat(), file.stat()]);
    if (found.isFile() && found.uid === owner.uid) return file;
    await file.close();
    throw new SoulBoxError('forbidden', `The blob ${name} is not a file, or is not owned by the owner of its folder.`);
  } finally {
    await folder.close();
  }
}

async function openIfThere(path: string, flags: number): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | flags);
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return undefined;
    if (isNodeError(error) && (error.code === 'ELOOP' || error.code === 'ENOTDIR'))
      throw new SoulBoxError('forbidden', 'The path of a blob contains a symbolic link.', { cause: error });
    throw error;
  }
}
