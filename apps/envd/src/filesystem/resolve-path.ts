import { posix } from 'node:path';
import { SoulBoxError } from '@soulbox/base';

interface PathBase {
  readonly home: string;
  /** The meaning of an empty path. */
  readonly workdir: string;
}

/** PATH_MAX of Linux, including the final NUL. */
const maxPathBytes = 4096;

/**
 * Resolves the path of a request to an absolute one. An empty path is the working directory, `~` is the home, and
 * relative paths start in the home. `.` and `..` are resolved in the text. Links are left to the kernel, whose root is
 * that of the sandbox.
 */
export function resolvePath(path: string, base: PathBase): string {
  if (path.includes('\0')) throw new SoulBoxError('bad_path', 'A path must not contain a NUL.');
  if (Buffer.byteLength(path) >= maxPathBytes) {
    throw new SoulBoxError('bad_path', `A path must not be longer than ${maxPathBytes - 1} bytes.`);
  }
  if (path === '') return posix.resolve('/', base.workdir);
  if (path === '~' || path.startsWith('~/')) return withoutTrailingSlash(posix.join(base.home, path.slice(1)));
  // `~name` does not mean the home of another user here: E2B rejects it.
  if (path.startsWith('~')) throw new SoulBoxError('bad_path', `cannot expand user-specific home dir '${path}'`);
  return posix.resolve('/', base.home, path);
}

function withoutTrailingSlash(path: string): string {
  return posix.resolve('/', path);
}
