import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { copyFile, link, lstat, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { SoulBoxError, errorFromNode, isNodeError, randomId } from '@soulbox/base';
import type { BlobStore } from '../blobs.ts';
import { describeBlob, isBlob, listDiskBlobs, pathIn } from './list.ts';

/** No key begins with a dot. */
const temporaryPrefix = '.new-';

/**
 * Blobs as files of one folder, created with mode 0700 if missing; leftovers of blobs that a crash interrupted are
 * removed. Only one process may have a folder open.
 */
export async function openDiskBlobs({ directory }: { readonly directory: string }): Promise<BlobStore> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const unfinished = (await readdir(directory)).filter((name) => name.startsWith(temporaryPrefix));
  await Promise.all(unfinished.map((name) => rm(join(directory, name))));
  return createDiskBlobs(directory);
}

/** For a folder that this process has open already: unfinished blobs, which may be those of the other one, stay. */
export function openBlobWriter({ directory }: { readonly directory: string }): Pick<BlobStore, 'put' | 'stat'> {
  return createDiskBlobs(directory);
}

/** Names in the folder that are not blobs, sorted. */
export async function findForeignNames(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  return entries
    .filter((entry) => !isBlob(entry) && !entry.name.startsWith(temporaryPrefix))
    .map(({ name }) => name)
    .sort();
}

function createDiskBlobs(directory: string): BlobStore {
  const pathOf = (key: string): string => pathIn(directory, key);

  const put: BlobStore['put'] = async (key, content) => {
    const path = pathOf(key);
    const temporary = join(directory, temporaryPrefix + randomId(16));
    try {
      const sizeBytes = await writeDurably(temporary, content);
      await publish(directory, temporary, path);
      return { key, sizeBytes };
    } catch (error) {
      await rm(temporary, { force: true });
      throw isNodeError(error) ? errorFromNode(error, `Blob ${key} could not be written.`) : error;
    }
  };

  return {
    put,
    async putFile(key, path) {
      const target = pathOf(key);
      const file = await openFile(path);
      try {
        if (!(await isOnFileSystemOf(directory, file))) {
          const copied = await put(key, file.createReadStream({ start: 0, autoClose: false }));
          await rm(path);
          return copied;
        }
        await file.sync();
        await publish(directory, path, target);
        return { key, sizeBytes: (await file.stat()).size };
      } finally {
        await file.close();
      }
    },
    async read(key, range) {
      const file = await openIfThere(pathOf(key));
      if (file === undefined) return undefined;
      if (range === undefined) return file.createReadStream();
      // Node's streams cannot end before their first byte.
      if (range.length > 0) return file.createReadStream({ start: range.offset, end: range.offset + range.length - 1 });
      await file.close();
      return Readable.from([]);
    },
    stat: (key) => describeBlob(directory, key),
    list: async (prefix) => await listDiskBlobs(directory, prefix),
    async copyInto(target, prefix) {
      await mkdir(target, { recursive: true, mode: 0o700 });
      const copied: string[] = [];
      for (const { key } of await listDiskBlobs(directory, prefix)) {
        if (await linkOrCopy(pathOf(key), pathIn(target, key))) copied.push(key);
      }
      return copied;
    },
    async delete(key) {
      await rm(pathOf(key), { force: true });
    },
    async [Symbol.asyncDispose]() {
      // Nothing stays open between calls.
    },
  };
}

async function publish(directory: string, path: string, target: string): Promise<void> {
  await rename(path, target);
  const folder = await open(directory, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function writeDurably(path: string, content: AsyncIterable<Uint8Array>): Promise<number> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
    return (await file.stat()).size;
  } finally {
    await file.close();
  }
}

/** False if the file does not exist any more. */
async function linkOrCopy(path: string, target: string): Promise<boolean> {
  try {
    await link(path, target).catch(async (error: unknown) => {
      if (!isNodeError(error) || error.code !== 'EXDEV') throw error;
      await copyFile(path, target);
    });
    return true;
  } catch (error) {
    if (!isNodeError(error)) throw error;
    if (error.code === 'EEXIST') return true;
    if (error.code === 'ENOENT') return false;
    throw errorFromNode(error, `${target} could not be written.`);
  }
}

/** Opens a plain file, not a link to one. Throws `bad_path`. */
async function openFile(path: string): Promise<FileHandle> {
  if (!(await lstat(path)).isFile()) throw new SoulBoxError('bad_path', `${path} is not a regular file.`);
  return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function isOnFileSystemOf(directory: string, file: FileHandle): Promise<boolean> {
  return (await stat(directory)).dev === (await file.stat()).dev;
}
