import type {
  FuseAttr,
  FuseAttrReply,
  FuseCreated,
  FuseEntry,
  FuseLock,
  FuseNegativeEntry,
  FuseOpen,
  FuseReplyValue,
  FuseStatfs,
} from '../fuse-fs.ts';
import { writeEnd, writeI64, writeTtl, writeU64 } from './numbers.ts';

/** struct fuse_out_header: length, negative errno, unique. Each reply leaves room for it. */
export const headerOutBytes = 16;

export const entryBytes = 128;
const attrOffsetInEntry = 40;
const attrBytes = 104;
const openBytes = 16;

const openFlags = { directIo: 1, keepCache: 2, cacheDir: 8, noFlush: 32, parallelDirectWrites: 64 } as const;

/** Zeros, because padding is sent too. */
export function newReply(bodyBytes: number): Buffer {
  return Buffer.alloc(headerOutBytes + bodyBytes);
}

function writeAttr(buffer: Buffer, attr: FuseAttr, offset: number): void {
  writeU64(buffer, attr.ino, offset);
  writeU64(buffer, attr.size, offset + 8);
  writeU64(buffer, attr.blocks, offset + 16);
  writeI64(buffer, attr.atime.sec, offset + 24);
  writeI64(buffer, attr.mtime.sec, offset + 32);
  writeI64(buffer, attr.ctime.sec, offset + 40);
  buffer.writeUInt32LE(attr.atime.nsec, offset + 48);
  buffer.writeUInt32LE(attr.mtime.nsec, offset + 52);
  buffer.writeUInt32LE(attr.ctime.nsec, offset + 56);
  buffer.writeUInt32LE(attr.mode, offset + 60);
  buffer.writeUInt32LE(attr.nlink, offset + 64);
  buffer.writeUInt32LE(attr.uid, offset + 68);
  buffer.writeUInt32LE(attr.gid, offset + 72);
  buffer.writeUInt32LE(attr.rdev, offset + 76);
  buffer.writeUInt32LE(attr.blksize, offset + 80);
}

export function writeEntry(buffer: Buffer, entry: FuseEntry | FuseNegativeEntry, offset: number): void {
  writeU64(buffer, entry.nodeId, offset);
  writeTtl(buffer, entry.entryTtlMs, offset + 16, offset + 32);
  if (!('attr' in entry)) return;
  // The kernel takes node 0 for a missing name, and refuses the root in another place.
  if (entry.nodeId === 0) throw new RangeError('An entry has node id 0.');
  writeU64(buffer, entry.generation, offset + 8);
  writeTtl(buffer, entry.attrTtlMs, offset + 24, offset + 36);
  writeAttr(buffer, entry.attr, offset + attrOffsetInEntry);
}

function writeOpen(buffer: Buffer, open: FuseOpen, offset: number): void {
  writeU64(buffer, open.fh, offset);
  let flags = 0;
  for (const [name, flag] of Object.entries(openFlags)) {
    if (open[name as keyof typeof openFlags] === true) flags |= flag;
  }
  buffer.writeUInt32LE(flags, offset + 8);
}

export function entryReply(entry: FuseEntry | FuseNegativeEntry): Buffer {
  const reply = newReply(entryBytes);
  writeEntry(reply, entry, headerOutBytes);
  return reply;
}

export function attrReply({ attr, attrTtlMs }: FuseAttrReply): Buffer {
  const reply = newReply(attrBytes);
  writeTtl(reply, attrTtlMs, headerOutBytes, headerOutBytes + 8);
  writeAttr(reply, attr, headerOutBytes + 16);
  return reply;
}

export function openReply(open: FuseOpen): Buffer {
  const reply = newReply(openBytes);
  writeOpen(reply, open, headerOutBytes);
  return reply;
}

export function createdReply({ entry, open }: FuseCreated): Buffer {
  const reply = newReply(entryBytes + openBytes);
  writeEntry(reply, entry, headerOutBytes);
  writeOpen(reply, open, headerOutBytes + entryBytes);
  return reply;
}

/** How many bytes a write took, or an extended attribute has. */
export function countReply(count: number): Buffer {
  const reply = newReply(8);
  reply.writeUInt32LE(count, headerOutBytes);
  return reply;
}

export function offsetReply(offset: number): Buffer {
  const reply = newReply(8);
  writeU64(reply, offset, headerOutBytes);
  return reply;
}

export function statfsReply(statfs: FuseStatfs): Buffer {
  const reply = newReply(80);
  for (const [index, value] of [statfs.blocks, statfs.bfree, statfs.bavail, statfs.files, statfs.ffree].entries()) {
    writeU64(reply, value, headerOutBytes + index * 8);
  }
  reply.writeUInt32LE(statfs.bsize, headerOutBytes + 40);
  reply.writeUInt32LE(statfs.namelen, headerOutBytes + 44);
  reply.writeUInt32LE(statfs.frsize, headerOutBytes + 48);
  return reply;
}

/** F_RDLCK, F_WRLCK, F_UNLCK. */
export const lockTypes = ['read', 'write', 'none'] as const;

export function lockReply(lock: FuseLock): Buffer {
  const reply = newReply(24);
  writeU64(reply, lock.start, headerOutBytes);
  writeEnd(reply, lock.end, headerOutBytes + 8);
  reply.writeUInt32LE(lockTypes.indexOf(lock.type), headerOutBytes + 16);
  reply.writeUInt32LE(lock.pid, headerOutBytes + 20);
  return reply;
}

export const emptyReply = (): Buffer => newReply(0);

/** By what the value is. */
export function valueReply(value: FuseReplyValue): Buffer {
  if (value === undefined) return emptyReply();
  if (typeof value === 'number') return countReply(value);
  if ('entry' in value) return createdReply(value);
  if ('nodeId' in value) return entryReply(value);
  return 'fh' in value ? openReply(value) : attrReply(value);
}
