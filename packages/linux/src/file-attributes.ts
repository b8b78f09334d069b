import type { BigIntStats } from 'node:fs';
import { check, libcFunction } from './libc.ts';

// Paths are bytes here, because a sandbox may use file names that are not valid UTF-8. None of these calls follows a
// link.
const llistxattr = libcFunction<[path: Buffer, list: Buffer, size: number]>(
  'int64_t llistxattr(const uint8_t *path, uint8_t *list, size_t size)',
);
const lgetxattr = libcFunction<[path: Buffer, name: string, value: Buffer, size: number]>(
  'int64_t lgetxattr(const uint8_t *path, const char *name, uint8_t *value, size_t size)',
);
const lsetxattr = libcFunction<[path: Buffer, name: string, value: Buffer, size: number, flags: number]>(
  'int lsetxattr(const uint8_t *path, const char *name, const uint8_t *value, size_t size, int flags)',
);
const lremovexattr = libcFunction<[path: Buffer, name: string]>(
  'int lremovexattr(const uint8_t *path, const char *name)',
);
const utimensat = libcFunction<[directory: number, path: Buffer, times: BigInt64Array, flags: number]>(
  'int utimensat(int directory, const uint8_t *path, const int64_t *times, int flags)',
);

/** linux/fcntl.h */
const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
/** XATTR_LIST_MAX of linux/limits.h: the kernel's limit for a list of names. */
const list = Buffer.alloc(65_536);
const value = Buffer.alloc(256);

const cString = (path: Buffer): Buffer => Buffer.concat([path, Buffer.alloc(1)]);

/** Returns the names of all extended attributes. */
export function listAttributes(path: Buffer): string[] {
  const length = check('llistxattr', llistxattr(cString(path), list, list.length));
  // latin1 preserves every byte, even in names that are not valid UTF-8.
  return list.toString('latin1', 0, length).split('\0').slice(0, -1);
}

/** Returns the value of an existing attribute of at most 256 bytes. */
export function getAttribute(path: Buffer, name: string): string {
  const length = check('lgetxattr', lgetxattr(cString(path), name, value, value.length));
  return value.toString('latin1', 0, length);
}

export function setAttribute(path: Buffer, name: string, text: string): void {
  check('lsetxattr', lsetxattr(cString(path), name, Buffer.from(text), text.length, 0));
}

export function removeAttribute(path: Buffer, name: string): void {
  check('lremovexattr', lremovexattr(cString(path), name));
}

/** Sets both times to those of `stats`, with nanosecond precision. */
export function setTimes(path: Buffer, stats: BigIntStats): void {
  const second = 1_000_000_000n;
  const parts = [stats.atimeNs, stats.mtimeNs].flatMap((time) => {
    const nanoseconds = ((time % second) + second) % second;
    return [(time - nanoseconds) / second, nanoseconds];
  });
  check('utimensat', utimensat(AT_FDCWD, cString(path), BigInt64Array.from(parts), AT_SYMLINK_NOFOLLOW));
}
