import { posix } from 'node:path';
import { SoulBoxError } from '@soulbox/base';

interface PathBase {
  readonly home: string;
  /** Where an empty path leads. */
  readonly workdir: string;
}

/** PATH_MAX of Linux, the final NUL included. */
const maxPathBytes = 4096;

/**
 * The absolute path a request means: empty is the working directory, `~` the home, anything relative lies in the home.
 * `.` and `..` are taken out of the text; links are left to the kernel, whose root is the sandbox's.
 */
export function resolvePath(path: string, base: PathBase): string {
  if (path.includes('\0')) throw new SoulBoxError('bad_path', 'A path must not contain a NUL.');
  if (Buffer.byteLength(path) >= maxPathBytes) {
    throw new SoulBoxError('bad_path', `A path must not be longer than ${maxPathBytes - 1} bytes.`);
  }
  if (path === '') return posix.resolve('/', base.workdir);
  if (path === '~' || path.startsWith('~/')) return withoutTrailingSlash(posix.join(base.home, path.slice(1)));
  // `~name` is not a home of somebody else here: E2B refuses it.
  if (path.startsWith('~')) throw new SoulBoxError('bad_path', `cannot expand user-specific home dir '${path}'`);
  return posix.resolve('/', base.home, path);
}

function withoutTrailingSlash(path: string): string {
  return posix.resolve('/', path);
}
