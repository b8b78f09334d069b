import { closeSync, constants, openSync } from 'node:fs';
import { constants as os } from 'node:os';
import { check, lastErrno, libcPoolFunction } from './libc.ts';
import { ioctl } from './descriptors.ts';

// The kernel's encryption of folders (Documentation/filesystems/fscrypt.rst, linux/fscrypt.h), policies of version 2.
const setPolicy = 0x800c6613;
const getPolicyEx = 0xc0096616;
const addKey = 0xc0506617;
const removeKey = 0xc0406618;
const getKeyStatus = 0xc080661a;

const version1 = 0;
const version2 = 2;
const modes = { contentsAes256Xts: 1, namesAes256Cts: 4, padNamesTo32: 3 } as const;
const policySize = 24;
const identifierSize = 16;
const identifierAt = 8;
/** Where a policy of version 1 has its key: a descriptor of the operator's choice. */
const descriptorAt = 4;
const descriptorSize = 8;
/** FSCRYPT_KEY_SPEC_TYPE_IDENTIFIER. */
const byIdentifier = 2;
const rawSizeAt = 40;
const addKeySize = 80;
const removeKeySize = 64;
const removalFlagsAt = 40;
/** FSCRYPT_KEY_REMOVAL_STATUS_FLAG_*. */
const filesBusy = 1;
const otherUsers = 2;
const keyStatusSize = 128;
const statusAt = 64;
/** FSCRYPT_KEY_STATUS_*. */
const absent = 1;
const present = 2;

/** Bytes of a key (FSCRYPT_MAX_KEY_SIZE), as AES-256-XTS needs them. */
export const folderKeySize = 64;

/** `no_feature`: the file system can, but the operator has to enable it. `unsupported`: the file system cannot. */
export type FolderPolicy =
  | { readonly kind: 'none' | 'no_feature' | 'unsupported' }
  /** `keyId`: the kernel's identifier of the key in hex; for other policies than those of SoulBox a text of its own. */
  | { readonly kind: 'encrypted'; readonly keyId: string };

const ioctlOnPool = libcPoolFunction<[fd: number, request: number, argument: Buffer]>(
  'int ioctl(int fd, unsigned long request, void *argument)',
);

const openFolder = (path: string): number =>
  openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);

function inFolder<T>(path: string, act: (fd: number) => T): T {
  const fd = openFolder(path);
  try {
    return act(fd);
  } finally {
    closeSync(fd);
  }
}

/** The policy of a folder, which applies to everything that is created in it. */
export function readFolderPolicy(path: string): FolderPolicy {
  return inFolder(path, (fd) => {
    const argument = Buffer.alloc(8 + policySize);
    argument.writeBigUInt64LE(BigInt(policySize));
    if (ioctl(fd, getPolicyEx, argument) >= 0) {
      return { kind: 'encrypted', keyId: keyIdOf(argument.subarray(8)) };
    }
    const errno = lastErrno();
    if (errno === os.errno.ENODATA) return { kind: 'none' };
    if (errno === os.errno.EOPNOTSUPP) return { kind: 'no_feature' };
    // A policy of a later version than the kernel's.
    if (errno === os.errno.EOVERFLOW) return { kind: 'encrypted', keyId: 'unknown' };
    return { kind: 'unsupported' };
  });
}

function keyIdOf(policy: Buffer): string {
  if (policy[0] === version2) return policy.toString('hex', identifierAt, identifierAt + identifierSize);
  if (policy[0] === version1)
    return `version 1: ${policy.toString('hex', descriptorAt, descriptorAt + descriptorSize)}`;
  return 'unknown';
}

/** Encrypts what is created in an empty folder from now on. Its key must have been added. Throws `SystemCallError`. */
export function setFolderPolicy(path: string, keyId: string): void {
  const argument = Buffer.alloc(policySize);
  argument.set([version2, modes.contentsAes256Xts, modes.namesAes256Cts, modes.padNamesTo32]);
  argument.write(keyId, identifierAt, 'hex');
  inFolder(path, (fd) => check('FS_IOC_SET_ENCRYPTION_POLICY', ioctl(fd, setPolicy, argument)));
}

/**
 * Gives the file system of a folder a key; it keeps it until it is unmounted. Returns the identifier, which follows
 * from the key. Can be repeated. Throws `SystemCallError`.
 */
export function addFolderKey(path: string, key: Buffer): string {
  const argument = Buffer.alloc(addKeySize + key.length);
  argument.writeUInt32LE(byIdentifier);
  argument.writeUInt32LE(key.length, rawSizeAt);
  key.copy(argument, addKeySize);
  try {
    inFolder(path, (fd) => check('FS_IOC_ADD_ENCRYPTION_KEY', ioctl(fd, addKey, argument)));
    return argument.toString('hex', identifierAt, identifierAt + identifierSize);
  } finally {
    argument.fill(0);
  }
}

/**
 * `in_use`: the kernel keeps the keys of files that are open, and removes them when it is asked again. `other_users`:
 * another user of the host has added the same key. `absent`: there was none.
 */
export type KeyRemoval = 'removed' | 'in_use' | 'other_users' | 'absent';

/**
 * Takes the key from the file system of a folder: its files cannot be opened any more, and leave the kernel's memory,
 * except those that are in use. Waits until the file system is written to the disk. Throws `SystemCallError`.
 */
export async function removeFolderKey(path: string, keyId: string): Promise<KeyRemoval> {
  const argument = keyArgument(removeKeySize, keyId);
  const fd = openFolder(path);
  try {
    if ((await ioctlOnPool(fd, removeKey, argument)) >= 0) {
      const flags = argument.readUInt32LE(removalFlagsAt);
      if ((flags & otherUsers) !== 0) return 'other_users';
      return (flags & filesBusy) !== 0 ? 'in_use' : 'removed';
    }
    // The error number stayed on the other thread.
    if (statusOf(fd, keyId) === absent) return 'absent';
    throw new Error('FS_IOC_REMOVE_ENCRYPTION_KEY failed, and the kernel still has the key');
  } finally {
    closeSync(fd);
  }
}

/** Whether the file system of a folder has the key for new and closed files. Throws `SystemCallError`. */
export const hasFolderKey = (path: string, keyId: string): boolean =>
  inFolder(path, (fd) => statusOf(fd, keyId)) === present;

function statusOf(fd: number, keyId: string): number {
  const argument = keyArgument(keyStatusSize, keyId);
  check('FS_IOC_GET_ENCRYPTION_KEY_STATUS', ioctl(fd, getKeyStatus, argument));
  return argument.readUInt32LE(statusAt);
}

function keyArgument(size: number, keyId: string): Buffer {
  const argument = Buffer.alloc(size);
  argument.writeUInt32LE(byIdentifier);
  argument.write(keyId, identifierAt, 'hex');
  return argument;
}
