import { posix } from 'node:path';
import { SoulBoxError } from '@soulbox/base';

export const volumePathMaxBytes = 1024;

/**
 * Folders and files that belong to the kernel or to the server. A volume at, below or above one of them is refused: it
 * would hide a mount of the sandbox, or be hidden by one.
 */
export const systemPaths = [
  ...['/proc', '/sys', '/dev', '/run', '/.soulbox'],
  ...['/etc/resolv.conf', '/etc/hosts', '/etc/hostname', '/etc/machine-id'],
] as const;

/** Control characters, and those that separate the path in the name that a checkpoint has for the mount. */
const refusedCharacters = /[\u0000-\u001f\u007f[\]]/;

/**
 * Throws `volume_mount_failed` for paths at which no volume may be mounted, and if two are equal or one is below another.
 * A link in the sandbox may lead such a path elsewhere: the mount itself checks that.
 */
export function refuseVolumePaths(paths: readonly string[]): void {
  paths.forEach((path, index) => {
    const fault = faultOfVolumePath(path, paths.slice(0, index));
    if (fault === undefined) return;
    const shown = JSON.stringify(path.slice(0, volumePathMaxBytes));
    throw new SoulBoxError('volume_mount_failed', `A volume cannot be mounted at ${shown}: ${fault}.`);
  });
}

/**
 * Why no volume can be mounted at a path in a sandbox, beside others; undefined if one can. Accepts absolute paths in
 * their shortest form, of at most 1024 bytes.
 */
export function faultOfVolumePath(path: string, others: readonly string[]): string | undefined {
  const other = others.find((one) => overlap(one, path));
  return faultOf(path) ?? (other === undefined ? undefined : `${JSON.stringify(other)} is at, above or below it`);
}

function faultOf(path: string): string | undefined {
  if (!path.startsWith('/')) return 'the path is not absolute';
  if (Buffer.byteLength(path) > volumePathMaxBytes) return `the path is longer than ${volumePathMaxBytes} bytes`;
  // Unpaired surrogates become another character in the bytes of a path.
  if (refusedCharacters.test(path) || !path.isWellFormed())
    return 'the path contains a control character, a square bracket or a broken surrogate pair';
  if (posix.normalize(path) !== path || (path.endsWith('/') && path !== '/'))
    return 'the path is not in its shortest form, without ".", "..", double slashes and a slash at its end';
  if (systemPaths.some((system) => overlap(system, path))) return 'the path is a folder of the system';
  return undefined;
}

/** Whether two paths are equal, or one is below the other. */
function overlap(one: string, other: string): boolean {
  return isAtOrBelow(one, other) || isAtOrBelow(other, one);
}

function isAtOrBelow(path: string, folder: string): boolean {
  return folder === '/' || path === folder || path.startsWith(`${folder}/`);
}
