import type { BigIntStats } from 'node:fs';
import koffi from 'koffi';

// Paths are bytes here: what a sandbox calls its files need not be text. None of these calls follows a link.
const libc = koffi.load(null);
const llistxattr = libc.func('int64_t llistxattr(const uint8_t *path, uint8_t *list, size_t size)') as (
  path: Buffer,
  list: Buffer,
  size: number,
) => number;
const lgetxattr = libc.func(
  'int64_t lgetxattr(const uint8_t *path, const char *name, uint8_t *value, size_t size)',
) as (path: Buffer, name: string, value: Buffer, size: number) => number;
const lsetxattr = libc.func(
  'int lsetxattr(const uint8_t *path, const char *name, const uint8_t *value, size_t size, int flags)',
) as (path: Buffer, name: string, value: Buffer, size: number, flags: number) => number;
const lremovexattr = libc.func('int lremovexattr(const uint8_t *path, const char *name)') as (
  path: Buffer,
  name: string,
) => number;
const utimensat = libc.func('int utimensat(int directory, const uint8_t *path, const int64_t *times, int flags)') as (
  directory: number,
  path: Buffer,
  times: BigInt64Array,
  flags: number,
) => number;

// fcntl.h, and the kernel's own bound of a list of names (XATTR_LIST_MAX).
const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const list = Buffer.alloc(65_536);
const value = Buffer.alloc(256);

const cString = (path: Buffer): Buffer => Buffer.concat([path, Buffer.alloc(1)]);

/** Names of all extended attributes. */
export function listAttributes(path: Buffer): string[] {
  const length = check('llistxattr', llistxattr(cString(path), list, list.length));
  // latin1 gives back every byte, also of names that are no UTF-8.
  return list.toString('latin1', 0, length).split('\0').slice(0, -1);
}

/** Value of a short attribute that is there. */
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

/** Sets both times, to the nanosecond, as `stats` has them. */
export function setTimes(path: Buffer, stats: BigIntStats): void {
  const second = 1_000_000_000n;
  const parts = [stats.atimeNs, stats.mtimeNs].flatMap((time) => {
    const nanoseconds = ((time % second) + second) % second;
    return [(time - nanoseconds) / second, nanoseconds];
  });
  check('utimensat', utimensat(AT_FDCWD, cString(path), BigInt64Array.from(parts), AT_SYMLINK_NOFOLLOW));
}

function check(call: string, result: number): number {
  if (result < 0) throw new Error(`${call}: errno ${koffi.errno()}`);
  return result;
}
