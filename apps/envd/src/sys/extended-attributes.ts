import { constants } from 'node:os';
import { cString, systemError, trySyscall } from './libc.ts';
import { syscallNumbers as nr } from './syscall-numbers.ts';

/** Limits of the kernel (include/uapi/linux/limits.h). */
const maxListBytes = 65_536;
const maxValueBytes = 65_536;

const buffers = { list: new Uint8Array(maxListBytes), value: new Uint8Array(maxValueBytes) };
/**
 * These errors count as "no attribute": the file system has no attributes, or the file vanished or has none of that
 * name.
 */
const absent = new Set<number>(
  ['ENOTSUP', 'EOPNOTSUPP', 'ENOENT', 'ENODATA', 'ENOTDIR', 'EPERM', 'EACCES', 'ELOOP', 'ERANGE'].map(
    (name) => constants.errno[name as keyof typeof constants.errno],
  ),
);

/**
 * The attributes of a path whose names begin with `prefix`, which is removed from the names. Never follows a final
 * symlink.
 */
export function readAttributes(path: string, prefix: string): Record<string, string> {
  const file = cString(path);
  const attributes: Record<string, string> = {};
  const names = decodeNames(trySyscall(nr.llistxattr, file, buffers.list, maxListBytes));
  for (const name of names.filter((candidate) => candidate.startsWith(prefix))) {
    const sizeBytes = trySyscall(nr.lgetxattr, file, cString(name), buffers.value, maxValueBytes);
    if (sizeBytes >= 0)
      attributes[name.slice(prefix.length)] = Buffer.from(buffers.value.subarray(0, sizeBytes)).toString();
    else if (!absent.has(-sizeBytes)) throw systemError(-sizeBytes, 'getxattr');
  }
  return attributes;
}

/** Replaces all attributes of an open file whose names begin with `prefix`. Throws ENOSPC, ENOTSUP and so on. */
export function replaceAttributes(fd: number, prefix: string, attributes: Readonly<Record<string, string>>): void {
  const names = decodeNames(trySyscall(nr.flistxattr, fd, buffers.list, maxListBytes));
  for (const name of names.filter((candidate) => candidate.startsWith(prefix))) {
    const result = trySyscall(nr.fremovexattr, fd, cString(name));
    if (result < 0 && !absent.has(-result)) throw systemError(-result, 'removexattr');
  }
  for (const [name, text] of Object.entries(attributes)) {
    const value = Buffer.from(text);
    // An empty buffer has no address.
    const result = trySyscall(
      nr.fsetxattr,
      fd,
      cString(prefix + name),
      value.length === 0 ? 0 : value,
      value.length,
      0,
    );
    if (result < 0) throw systemError(-result, 'setxattr');
  }
}

/** Decodes NUL-separated names. A negative result is an errno. */
function decodeNames(result: number): string[] {
  if (result < 0) {
    if (absent.has(-result)) return [];
    throw systemError(-result, 'listxattr');
  }
  return Buffer.from(buffers.list.subarray(0, result))
    .toString()
    .split('\0')
    .filter((name) => name !== '');
}
