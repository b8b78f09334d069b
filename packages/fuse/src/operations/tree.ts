import {
  FuseError,
  renameExchange,
  renameNoReplace,
  type Awaitable,
  type FuseSetattr,
  type FuseTime,
} from '../fuse-fs.ts';
import { argument, behindString, nameAt, newNameAt, targetAt, type Message } from '../wire/message.ts';
import { readTime, readU64 } from '../wire/numbers.ts';
import { attrReply, emptyReply, entryReply, statfsReply } from '../wire/replies.ts';
import { methodOf, then, type Call, type Operation, type Reply } from './operation.ts';

const valid = {
  mode: 1 << 0,
  uid: 1 << 1,
  gid: 1 << 2,
  size: 1 << 3,
  atime: 1 << 4,
  mtime: 1 << 5,
  fh: 1 << 6,
  atimeNow: 1 << 7,
  mtimeNow: 1 << 8,
  ctime: 1 << 10,
  killSuidgid: 1 << 11,
} as const;

function parseSetattr(message: Message): FuseSetattr {
  const at = argument(message, 88);
  const { buffer } = message;
  const has = buffer.readUInt32LE(at);
  const timeOf = (now: number, secOffset: number, nsecOffset: number): FuseTime | 'now' =>
    (has & now) === 0 ? readTime(buffer, at + secOffset, at + nsecOffset) : 'now';
  return {
    ...((has & valid.mode) !== 0 && { mode: buffer.readUInt32LE(at + 68) }),
    ...((has & valid.uid) !== 0 && { uid: buffer.readUInt32LE(at + 76) }),
    ...((has & valid.gid) !== 0 && { gid: buffer.readUInt32LE(at + 80) }),
    ...((has & valid.size) !== 0 && { size: readU64(buffer, at + 16, 'EFBIG') }),
    ...((has & valid.atime) !== 0 && { atime: timeOf(valid.atimeNow, 32, 56) }),
    ...((has & valid.mtime) !== 0 && { mtime: timeOf(valid.mtimeNow, 40, 60) }),
    ...((has & valid.ctime) !== 0 && { ctime: readTime(buffer, at + 48, at + 64) }),
    ...((has & valid.fh) !== 0 && { fh: readU64(buffer, at + 8) }),
    killSuidgid: (has & valid.killSuidgid) !== 0,
  };
}

function rename(call: Call, argumentBytes: number, flags: number): Awaitable<Reply> {
  const { fs, message, context } = call;
  if ((flags & ~(renameNoReplace | renameExchange)) !== 0 || flags === (renameNoReplace | renameExchange)) {
    throw new FuseError('EINVAL', `A rename has flags ${flags}.`);
  }
  const method = methodOf(fs.rename);
  const at = argument(message, argumentBytes);
  const names = at + argumentBytes;
  const name = nameAt(message, names);
  const newName = newNameAt(message, behindString(message, names));
  return then(method(message.nodeId, name, readU64(message.buffer, at), newName, flags, context), emptyReply);
}

export const treeOperations = {
  lookup: {
    countsEntry: true,
    run: ({ fs, message, context }) => then(fs.lookup(message.nodeId, nameAt(message, 40), context), entryReply),
  },
  getattr: {
    run: ({ fs, message, context }) => {
      const at = argument(message, 16);
      const fh = (message.buffer.readUInt32LE(at) & 1) === 1 ? readU64(message.buffer, at + 8) : undefined;
      return then(fs.getattr(message.nodeId, fh, context), attrReply);
    },
  },
  setattr: {
    run: ({ fs, message, context }) =>
      then(methodOf(fs.setattr)(message.nodeId, parseSetattr(message), context), attrReply),
  },
  readlink: {
    run: ({ fs, message, context }) =>
      then(methodOf(fs.readlink)(message.nodeId, context), (target) => ({ pieces: [target] })),
  },
  symlink: {
    countsEntry: true,
    run: ({ fs, message, context }) => {
      const target = targetAt(message, behindString(message, 40));
      return then(methodOf(fs.symlink)(message.nodeId, newNameAt(message, 40), target, context), entryReply);
    },
  },
  mknod: {
    countsEntry: true,
    run: ({ fs, message, context }) => {
      const at = argument(message, 16);
      const mode = message.buffer.readUInt32LE(at);
      const rdev = message.buffer.readUInt32LE(at + 4);
      return then(methodOf(fs.mknod)(message.nodeId, newNameAt(message, at + 16), mode, rdev, context), entryReply);
    },
  },
  mkdir: {
    countsEntry: true,
    run: ({ fs, message, context }) => {
      const at = argument(message, 8);
      const mode = message.buffer.readUInt32LE(at);
      return then(methodOf(fs.mkdir)(message.nodeId, newNameAt(message, at + 8), mode, context), entryReply);
    },
  },
  unlink: {
    run: ({ fs, message, context }) =>
      then(methodOf(fs.unlink)(message.nodeId, nameAt(message, 40), context), emptyReply),
  },
  rmdir: {
    run: ({ fs, message, context }) =>
      then(methodOf(fs.rmdir)(message.nodeId, nameAt(message, 40), context), emptyReply),
  },
  rename: { run: (call) => rename(call, 8, 0) },
  rename2: { run: (call) => rename(call, 16, call.message.buffer.readUInt32LE(argument(call.message, 16) + 8)) },
  link: {
    countsEntry: true,
    run: ({ fs, message, context }) => {
      const at = argument(message, 8);
      const nodeId = readU64(message.buffer, at);
      return then(methodOf(fs.link)(nodeId, message.nodeId, newNameAt(message, at + 8), context), entryReply);
    },
  },
  statfs: {
    run: ({ fs, message, context }) => then(methodOf(fs.statfs)(message.nodeId, context), statfsReply),
  },
} as const satisfies Record<string, Operation>;
