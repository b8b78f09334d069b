import { FuseError } from '../fuse-fs.ts';
import { readU64 } from './numbers.ts';

/** struct fuse_in_header. */
export const headerInBytes = 40;

/** What Linux allows for one name (NAME_MAX). The kernel passes on up to 1024 bytes. */
export const maxNameBytes = 255;
/** PATH_MAX without its zero. */
const maxTargetBytes = 4095;

/** One request of the kernel as it lies in a buffer. */
export interface Message {
  readonly buffer: Buffer;
  /** Behind its last byte. */
  readonly end: number;
  readonly opcode: number;
  /** Without the bit of resent requests. */
  readonly unique: number;
  readonly isResent: boolean;
  readonly nodeId: number;
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
}

/**
 * Reads the header. Throws a `FuseError` for a message that is not one: shorter than its header, or with another length
 * than what was read.
 */
export function parseMessage(buffer: Buffer, bytes: number): Message {
  if (bytes < headerInBytes || bytes > buffer.length) {
    throw new FuseError('EIO', `A request has ${bytes} bytes, fewer than its header.`);
  }
  const length = buffer.readUInt32LE(0);
  // Extensions stand at the end. None is negotiated, so none can be there.
  const extensionBytes = buffer.readUInt16LE(36) * 8;
  if (length !== bytes || extensionBytes > length - headerInBytes) {
    throw new FuseError('EIO', `A request of ${bytes} bytes says that it has ${length}.`);
  }
  const uniqueHigh = buffer.readUInt32LE(12);
  const unique = (uniqueHigh & 0x7fff_ffff) * 0x1_0000_0000 + buffer.readUInt32LE(8);
  if (unique > Number.MAX_SAFE_INTEGER) throw new FuseError('EIO', 'A request has a number that is not safe.');
  return {
    buffer,
    end: length - extensionBytes,
    opcode: buffer.readUInt32LE(4),
    unique,
    isResent: uniqueHigh >= 0x8000_0000,
    nodeId: readU64(buffer, 16, 'ESTALE'),
    uid: buffer.readUInt32LE(24),
    gid: buffer.readUInt32LE(28),
    pid: buffer.readUInt32LE(32),
  };
}

/** The number to which an answer can be sent, also for a message that cannot be parsed. */
export function uniqueOf(buffer: Buffer, bytes: number): Buffer | undefined {
  return bytes >= 16 ? Buffer.from(buffer.subarray(8, 16)) : undefined;
}

/** The offset of the argument, which has at least `bytes` bytes. */
export function argument(message: Message, bytes: number): number {
  if (message.end - headerInBytes < bytes) {
    throw new FuseError('EIO', `The argument of opcode ${message.opcode} is shorter than ${bytes} bytes.`);
  }
  return headerInBytes;
}

/** A copy: the buffer is used again while a method waits. */
export function copyOf(message: Message, start: number, end: number): Buffer {
  return Buffer.from(message.buffer.subarray(start, end));
}

function endOfString(message: Message, offset: number): number {
  const end = message.buffer.indexOf(0, offset);
  if (end < 0 || end >= message.end) throw new FuseError('EIO', 'A name has no end.');
  return end;
}

const slash = 0x2f;

/** The name at `offset`. It is checked: the kernel does not know our limits, and a disk can hold any bytes. */
export function nameAt(message: Message, offset: number): Buffer {
  const end = endOfString(message, offset);
  if (end === offset) throw new FuseError('EINVAL', 'A name is empty.');
  if (end - offset > maxNameBytes) throw new FuseError('ENAMETOOLONG', `A name has ${end - offset} bytes.`);
  const name = copyOf(message, offset, end);
  if (name.includes(slash)) throw new FuseError('EINVAL', 'A name has a slash.');
  return name;
}

/** Of a new entry. */
export function newNameAt(message: Message, offset: number): Buffer {
  const name = nameAt(message, offset);
  if (isDots(name)) throw new FuseError('EINVAL', 'A new name is "." or "..".');
  return name;
}

export function isDots(name: Uint8Array): boolean {
  return name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e));
}

/** The offset behind the string at `offset`, and its zero. */
export function behindString(message: Message, offset: number): number {
  return endOfString(message, offset) + 1;
}

/** The name of an extended attribute: any bytes, 1 to 255. */
export function xattrNameAt(message: Message, offset: number): Buffer {
  const end = endOfString(message, offset);
  if (end === offset || end - offset > maxNameBytes)
    throw new FuseError('ERANGE', 'The name of an attribute is too long.');
  return copyOf(message, offset, end);
}

/** What a symbolic link points to. */
export function targetAt(message: Message, offset: number): Buffer {
  const end = endOfString(message, offset);
  if (end === offset) throw new FuseError('ENOENT', 'The target of a link is empty.');
  if (end - offset > maxTargetBytes) throw new FuseError('ENAMETOOLONG', `A target has ${end - offset} bytes.`);
  return copyOf(message, offset, end);
}
