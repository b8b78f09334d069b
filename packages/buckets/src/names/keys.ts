import { FuseError } from '@soulbox/fuse';
import { checkObjectKey, objectLimits } from '@soulbox/storage/objects';
import { nameBytesMax } from '../limits.ts';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A name as a part of a key. `undefined` for one that no object can have: not UTF-8, control characters, backslashes. */
export function findPart(name: Uint8Array): string | undefined {
  try {
    const part = decoder.decode(name);
    return isPart(part) ? part : undefined;
  } catch {
    return undefined;
  }
}

/** Throws EINVAL for a name that no object can have, and ENAMETOOLONG for a key that is too long. */
export function newKey(folder: string, name: Uint8Array): string {
  const part = findPart(name);
  if (part === undefined) throw new FuseError('EINVAL', 'The name is not valid in a bucket.');
  const key = folder + part;
  // One more byte for the slash of a folder.
  if (Buffer.byteLength(key) >= objectLimits.keyBytes) throw new FuseError('ENAMETOOLONG');
  return key;
}

/** Whether a part of a key can be shown as the name of a file or folder. */
export function isPart(part: string): boolean {
  if (Buffer.byteLength(part) > nameBytesMax || part.includes('/')) return false;
  try {
    checkObjectKey(part, '');
    return true;
  } catch {
    return false;
  }
}

/** `a/b/` of `a/b/c` and of `a/b/c/`. */
export const folderOf = (key: string): string => key.slice(0, key.lastIndexOf('/', key.length - 2) + 1);

export const isFolderKey = (key: string): boolean => key === '' || key.endsWith('/');
