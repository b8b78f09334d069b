import { closeSync } from 'node:fs';
import { addressOf, check, libcFunction, libcPoolFunction } from './libc.ts';

type SystemCall = [number: number, one: bigint, two: bigint, three: bigint, four: bigint, five: bigint];
const prototype = 'long syscall(long number, long one, long two, long three, long four, long five)';
/** The C library has functions for these calls only since glibc 2.36, and musl has none. */
const syscall = libcFunction<SystemCall>(prototype);
const poolSyscall = libcPoolFunction<SystemCall>(prototype);

const statx = libcFunction<[at: number, path: bigint, flags: number, mask: number, facts: bigint]>(
  'int statx(int at, uintptr_t path, int flags, unsigned int mask, uintptr_t facts)',
);
/** linux/stat.h, and linux/fcntl.h: what the kernel knows is enough. */
const statxBytes = 256;
const statxDevMajor = 0x88;
const statxDontSync = 0x4000;

/** asm-generic/unistd.h: the same on all architectures. */
const numbers = { openTree: 428, moveMount: 429, fsopen: 430, fsconfig: 431, fsmount: 432, mountSetattr: 442 } as const;
/** linux/mount.h */
const closeOnExec = 1n;
const setFlag = 0;
const setString = 1;
const create = 6;
const cloneTree = 1n;
/** O_CLOEXEC of asm-generic/fcntl.h: the flag of open_tree(2). */
const treeCloseOnExec = 0o2000000n;
const fromEmptyPath = 0x4n;
const currentFolder = -100n;
const attributeBits = { readOnly: 0x1n, noSetuid: 0x2n, noDevices: 0x4n, noPrograms: 0x8n, noAccessTimes: 0x10n };
const idMap = 0x10_0000n;
const isPrivate = 1n << 18n;
const emptyPath = 0x1000n;
/** struct mount_attr */
const attributeBytes = 32;

/** Attributes of a mount, mount_setattr(2): read-only, nosuid, nodev, noexec, noatime. */
export type MountAttribute = keyof typeof attributeBits;

/**
 * A file system that is to be mounted. `options` are those of the file system itself, as in the fourth field of fstab(5);
 * `true` stands for one without a value. Numbers of descriptors are values, too.
 */
export interface NewFileSystem {
  readonly type: string;
  /** A device, or what /proc/PID/mountinfo shows. */
  readonly source: string;
  readonly options: Readonly<Record<string, string | true>>;
  readonly attributes: readonly MountAttribute[];
}

const text = (value: string): Buffer => Buffer.from(`${value}\0`);
const bitsOf = (attributes: readonly MountAttribute[]): bigint =>
  attributes.reduce((bits, attribute) => bits | attributeBits[attribute], 0n);

/**
 * Mounts a file system and returns the mount: a descriptor that no path leads to, until somebody moves it to a place. The
 * mount ends with its last descriptor and place. Reads from its device on a thread of libuv's pool. Throws
 * `SystemCallError`; the log of the kernel says more.
 */
export async function mountFileSystem(fileSystem: NewFileSystem): Promise<number> {
  const context = openContext(fileSystem);
  try {
    const result = await poolSyscall(numbers.fsconfig, BigInt(context), BigInt(create), 0n, 0n, 0n);
    if (result >= 0) return mountOf(context, fileSystem.attributes);
  } finally {
    closeSync(context);
  }
  // The number of the error stayed in the other thread.
  return mountNow(fileSystem);
}

function mountNow(fileSystem: NewFileSystem): number {
  const { type, source, attributes } = fileSystem;
  const context = openContext(fileSystem);
  try {
    check(`mount of ${type} ${source}`, syscall(numbers.fsconfig, BigInt(context), BigInt(create), 0n, 0n, 0n));
    return mountOf(context, attributes);
  } finally {
    closeSync(context);
  }
}

/**
 * Mounts a FUSE file system like `mountFileSystem`, but does not wait. `device` is an open /dev/fuse. Without setuid
 * programs and devices. Throws `SystemCallError`.
 */
export function createFuseMount(options: {
  readonly device: number;
  readonly source: string;
  readonly isReadOnly: boolean;
}): number {
  const { device, source, isReadOnly } = options;
  const values = { fd: String(device), rootmode: '40000', user_id: '0', group_id: '0' };
  const attributes: MountAttribute[] = ['noSetuid', 'noDevices', ...(isReadOnly ? (['readOnly'] as const) : [])];
  const all = { ...values, default_permissions: true, allow_other: true } as const;
  return mountNow({ type: 'fuse', source, options: all, attributes });
}

function openContext({ type, source, options }: NewFileSystem): number {
  const name = text(type);
  const context = check('fsopen', syscall(numbers.fsopen, addressOf(name), closeOnExec, 0n, 0n, 0n));
  try {
    for (const [key, value] of Object.entries({ source, ...options })) setOption(context, key, value);
    return context;
  } catch (error) {
    closeSync(context);
    throw error;
  }
}

function setOption(context: number, key: string, value: string | true): void {
  const [name, content] = [text(key), text(value === true ? '' : value)];
  const [command, pointer] = value === true ? [setFlag, 0n] : [setString, addressOf(content)];
  const result = syscall(numbers.fsconfig, BigInt(context), BigInt(command), addressOf(name), pointer, 0n);
  check(`fsconfig of ${key}`, result);
}

function mountOf(context: number, attributes: readonly MountAttribute[]): number {
  const bits = bitsOf(attributes);
  return check('fsmount', syscall(numbers.fsmount, BigInt(context), closeOnExec, bits, 0n, 0n));
}

/**
 * Returns a second mount of what `path` shows, like `mountFileSystem`, with additional attributes. It is private, also if
 * the mount with the path is shared with others. Throws `SystemCallError`.
 */
export function copyMount(path: string, attributes: readonly MountAttribute[] = []): number {
  const name = text(path);
  const flags = cloneTree | treeCloseOnExec;
  const mount = check(`open_tree of ${path}`, syscall(numbers.openTree, currentFolder, addressOf(name), flags, 0n, 0n));
  try {
    setAttributes(mount, { bits: bitsOf(attributes), propagation: isPrivate });
    return mount;
  } catch (error) {
    closeSync(mount);
    throw error;
  }
}

/**
 * Shows the owners of files through the map of a user namespace. Once for each mount, before it has a place, and after the
 * file system has said that it allows it. Throws `SystemCallError`.
 */
export function mapIds(mount: number, userNamespace: number): void {
  setAttributes(mount, { bits: idMap, userNamespace });
}

function setAttributes(
  mount: number,
  {
    bits,
    propagation = 0n,
    userNamespace = 0,
  }: { readonly bits: bigint; readonly propagation?: bigint; readonly userNamespace?: number },
): void {
  const attribute = Buffer.alloc(attributeBytes);
  attribute.writeBigUInt64LE(bits, 0);
  attribute.writeBigUInt64LE(propagation, 16);
  attribute.writeBigUInt64LE(BigInt(userNamespace), 24);
  const path = text('');
  const size = BigInt(attributeBytes);
  const [at, name] = [BigInt(mount), addressOf(path)];
  check('mount_setattr', syscall(numbers.mountSetattr, at, name, emptyPath, addressOf(attribute), size));
}

/** Gives a mount a place in the mount namespace of this thread. Throws `SystemCallError`. */
export function placeMount(mount: number, path: string): void {
  const [from, to] = [text(''), text(path)];
  const [at, target] = [BigInt(mount), addressOf(to)];
  const result = syscall(numbers.moveMount, at, addressOf(from), currentFolder, target, fromEmptyPath);
  check(`move_mount to ${path}`, result);
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
