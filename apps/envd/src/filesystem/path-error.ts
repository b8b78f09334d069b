import { errorFromNode, isNodeError, SoulBoxError } from '@soulbox/base';

/** Runs a file operation. Translates an error of the kernel to one that names the path. */
export async function namingPath<T>(path: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    throw errorFromPath(error, path);
  }
}

export function errorFromPath(error: unknown, path: string): SoulBoxError {
  return errorFromNode(error, describe(error, path));
}

function describe(error: unknown, path: string): string {
  const code = isNodeError(error) ? error.code : undefined;
  if (code === 'ENOENT') return `path '${path}' does not exist`;
  if (code === 'ENOTDIR') return `a part of path '${path}' is not a directory`;
  if (code === 'ELOOP') return `path '${path}' leads through a cycle of symbolic links`;
  if (code === 'ENOSPC' || code === 'EDQUOT') return `not enough disk space for '${path}'`;
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
    return `path '${path}' may not be changed or read (${code})`;
  if (code === 'EISDIR') return `path '${path}' is a directory`;
  if (code === 'ENXIO') return `path '${path}' is not a regular file`;
  if (code === 'ETXTBSY') return `path '${path}' is a program that is running`;
  if (code === 'ENOTEMPTY') return `path '${path}' is a directory that is not empty`;
  if (code === 'EXDEV') return `path '${path}' lies on another file system`;
  return `path '${path}' cannot be used${code === undefined ? '' : ` (${code})`}`;
}
