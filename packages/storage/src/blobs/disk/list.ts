import type { Dirent } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError } from '@soulbox/base';
import type { BlobInfo } from '../blobs.ts';
import { isBlobKey } from '../key.ts';
import { keyFromName, nameFromKey } from './file-name.ts';

/** Whether it can be a blob: a plain file with the name of a key. Others, such as `lost+found`, are left alone. */
export function isBlob(entry: Dirent): boolean {
  return entry.isFile() && isBlobKey(keyFromName(entry.name));
}

export function pathIn(directory: string, key: string): string {
  return join(directory, nameFromKey(key));
}

/** The blobs whose keys begin with `prefix`, sorted. A missing folder has none. */
export async function listDiskBlobs(directory: string, prefix: string): Promise<readonly BlobInfo[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: unknown) => {
    if (isNodeError(error) && error.code === 'ENOENT') return [];
    throw error;
  });
  const keys = entries
    .filter(isBlob)
    .map(({ name }) => keyFromName(name))
    .filter((key) => key.startsWith(prefix));
  const found = await Promise.all(keys.sort().map((key) => describeBlob(directory, key)));
  return found.filter((info) => info !== undefined);
}

/** Undefined if there is no such blob. */
export async function describeBlob(directory: string, key: string): Promise<BlobInfo | undefined> {
  try {
    return { key, sizeBytes: (await lstat(pathIn(directory, key))).size };
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
