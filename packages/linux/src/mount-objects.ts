import { closeSync } from 'node:fs';
import { addressOf, check, libcFunction } from './libc.ts';

/** The C library has functions for these calls only since glibc 2.36, and musl has none. */
const syscall = libcFunction<[number: number, one: bigint, two: bigint, three: bigint, four: bigint, five: bigint]>(
  'long syscall(long number, long one, long two, long three, long four, long five)',
);

const statx = libcFunction<[at: number, path: bigint, flags: number, mask: number, facts: bigint]>(
  'int statx(int at, uintptr_t path, int flags, unsigned int mask, uintptr_t facts)',
);
/** linux/stat.h, and linux/fcntl.h: what the kernel knows is enough. */
const statxBytes = 256;
const statxDevMajor = 0x88;
const statxDontSync = 0x4000;

/** asm-generic/unistd.h: the same on all architectures. */
const numbers = { fsopen: 430, fsconfig: 431, fsmount: 432, mountSetattr: 442 } as const;
/** linux/mount.h */
const closeOnExec = 1n;
const setFlag = 0;
const setString = 1;
const create = 6;
const attributes = { readOnly: 0x1n, nosuid: 0x2n, nodev: 0x4n, idMap: 0x10_0000n } as const;
const emptyPath = 0x1000n;
/** struct mount_attr */
const attributeBytes = 32;

const text = (value: string): Buffer => Buffer.from(`${value}\0`);

/**
 * Mounts a FUSE file system and returns the mount: a descriptor that no path leads to, until somebody moves it to a
 * place. The mount ends with its last descriptor and place. `device` is an open /dev/fuse. `source` is what
 * /proc/PID/mountinfo shows. Without setuid programs and devices. Throws `SystemCallError`.
 */
export function createFuseMount(options: {
  readonly device: number;
  readonly source: string;
  readonly isReadOnly: boolean;
}): number {
  const { device, source, isReadOnly } = options;
  const type = text('fuse');
  const context = check('fsopen', syscall(numbers.fsopen, addressOf(type), closeOnExec, 0n, 0n, 0n));
  try {
    const set = (command: number, key: string, value?: string): void => {
      const [name, content] = [text(key), text(value ?? '')];
      const pointer = value === undefined ? 0n : addressOf(content);
      const result = syscall(numbers.fsconfig, BigInt(context), BigInt(command), addressOf(name), pointer, 0n);
      check(`fsconfig of ${key}`, result);
    };
    const values = { source, fd: String(device), rootmode: '40000', user_id: '0', group_id: '0' };
    for (const [key, value] of Object.entries(values)) set(setString, key, value);
    for (const flag of ['default_permissions', 'allow_other']) set(setFlag, flag);
    check('fsconfig', syscall(numbers.fsconfig, BigInt(context), BigInt(create), 0n, 0n, 0n));
    const flags = attributes.nosuid | attributes.nodev | (isReadOnly ? attributes.readOnly : 0n);
    return check('fsmount', syscall(numbers.fsmount, BigInt(context), closeOnExec, flags, 0n, 0n));
  } finally {
    closeSync(context);
  }
}

/**
 * Shows the owners of files through the map of a user namespace. Once for each mount, before it has a place, and after the
 * file system has said that it allows it.
 */
export function mapIds(mount: number, userNamespace: number): void {
  const attribute = Buffer.alloc(attributeBytes);
  attribute.writeBigUInt64LE(attributes.idMap, 0);
  attribute.writeBigUInt64LE(BigInt(userNamespace), 24);
  const path = text('');
  const size = BigInt(attributeBytes);
  const [at, name] = [BigInt(mount), addressOf(path)];
  check('mount_setattr', syscall(numbers.mountSetattr, at, name, emptyPath, addressOf(attribute), size));
}

/**
 * The number of the file system of a mount, `major:minor`, as in /proc/PID/mountinfo. It is not asked for it, so this does
 * not wait for the process that serves it. Throws `SystemCallError`.
 */
export function deviceOfMount(mount: number): string {
  const facts = Buffer.alloc(statxBytes);
  const path = text('');
  check('statx', statx(mount, addressOf(path), Number(emptyPath) | statxDontSync, 0, addressOf(facts)));
  return `${facts.readUInt32LE(statxDevMajor)}:${facts.readUInt32LE(statxDevMajor + 4)}`;
}
