import { FuseError } from '../fuse-fs.ts';
import { argument, newNameAt } from '../wire/message.ts';
import { readU64 } from '../wire/numbers.ts';
import { countReply, createdReply, emptyReply, offsetReply, openReply } from '../wire/replies.ts';
import { methodOf, then, type Call, type Operation, type Reply } from './operation.ts';

/** Of the flags of an open file in OPEN and CREATE. */
const openKillSuidgid = 1;
const writeFlags = { cache: 1, killSuidgid: 4 } as const;
/** Of release_flags: a flock of this owner must go. */
const releaseFlock = 2;
const dataOnly = 1;

/** 16 digits: it is a random u64. */
export function ownerAt(buffer: Buffer, offset: number): string {
  return buffer.toString('hex', offset, offset + 8);
}

function readReply(size: number, data: Uint8Array | readonly Uint8Array[]): Reply {
  const pieces = data instanceof Uint8Array ? [data] : data;
  let bytes = 0;
  for (const piece of pieces) bytes += piece.length;
  // The kernel refuses such a reply, and the caller would wait.
  if (bytes > size) throw new RangeError(`A read of ${size} bytes returned ${bytes}.`);
  return { pieces };
}

function sync({ fs, message, context }: Call) {
  const at = argument(message, 16);
  const isDataOnly = (message.buffer.readUInt32LE(at + 8) & dataOnly) !== 0;
  return then(methodOf(fs.fsync)(message.nodeId, readU64(message.buffer, at), isDataOnly, context), emptyReply);
}

export const fileOperations = {
  open: {
    run: ({ fs, message, context }) => {
      const at = argument(message, 8);
      const kill = (message.buffer.readUInt32LE(at + 4) & openKillSuidgid) !== 0;
      return then(methodOf(fs.open)(message.nodeId, message.buffer.readUInt32LE(at), kill, context), openReply);
    },
  },
  create: {
    countsEntry: true,
    run: ({ fs, message, context }) => {
      const at = argument(message, 16);
      const flags = message.buffer.readUInt32LE(at);
      const mode = message.buffer.readUInt32LE(at + 4);
      return then(methodOf(fs.create)(message.nodeId, newNameAt(message, at + 16), mode, flags, context), createdReply);
    },
  },
  tmpfile: {
    countsEntry: true,
    run: ({ fs, message, context }) => {
      const at = argument(message, 16);
      const flags = message.buffer.readUInt32LE(at);
      const mode = message.buffer.readUInt32LE(at + 4);
      return then(methodOf(fs.tmpfile)(message.nodeId, mode, flags, context), createdReply);
    },
  },
  read: {
    run: ({ fs, message, context }) => {
      const at = argument(message, 40);
      const { buffer } = message;
      const size = buffer.readUInt32LE(at + 16);
      const offset = readU64(buffer, at + 8);
      return then(methodOf(fs.read)(message.nodeId, readU64(buffer, at), offset, size, context), (data) =>
        readReply(size, data),
      );
    },
  },
  write: {
    run: ({ fs, message, context }) => {
      const at = argument(message, 40);
      const { buffer } = message;
      const size = buffer.readUInt32LE(at + 16);
      if (message.end - at - 40 < size) throw new FuseError('EIO', `A write of ${size} bytes has fewer.`);
      const offset = readU64(buffer, at + 8, 'EFBIG');
      if (offset + size > Number.MAX_SAFE_INTEGER) throw new FuseError('EFBIG');
      const bits = buffer.readUInt32LE(at + 20);
      const options = {
        flags: buffer.readUInt32LE(at + 32),
        isWriteback: (bits & writeFlags.cache) !== 0,
        killSuidgid: (bits & writeFlags.killSuidgid) !== 0,
      };
      const data = buffer.subarray(at + 40, at + 40 + size);
      return then(methodOf(fs.write)(message.nodeId, readU64(buffer, at), offset, data, options, context), (count) => {
        if (count > size) throw new RangeError(`A write of ${size} bytes took ${count}.`);
        return countReply(count);
      });
    },
  },
  flush: {
    run: ({ fs, message, context }) => {
      const at = argument(message, 24);
      const { buffer } = message;
      return then(
        methodOf(fs.flush)(message.nodeId, readU64(buffer, at), ownerAt(buffer, at + 16), context),
        emptyReply,
      );
    },
  },
  release: {
    run: ({ fs, message, context }) => {
      const at = argument(message, 24);
      const { buffer } = message;
      const hasFlock = (buffer.readUInt32LE(at + 12) & releaseFlock) !== 0;
      const owner = hasFlock ? ownerAt(buffer, at + 16) : undefined;
      return then(methodOf(fs.release)(message.nodeId, readU64(buffer, at), owner, context), emptyReply);
    },
  },
  fsync: { run: sync },
  fallocate: {
    run: ({ fs, message, context }) => {
      const at = argument(message, 32);
      const { buffer } = message;
      const offset = readU64(buffer, at + 8, 'EFBIG');
      const length = readU64(buffer, at + 16, 'EFBIG');
      if (offset + length > Number.MAX_SAFE_INTEGER) throw new FuseError('EFBIG');
      return then(
        methodOf(fs.fallocate)(
          ...([message.nodeId, readU64(buffer, at), buffer.readUInt32LE(at + 24), offset, length, context] as const),
        ),
        emptyReply,
      );
    },
  },
  lseek: {
    run: ({ fs, message, context }) => {
      const at = argument(message, 24);
      const { buffer } = message;
      const offset = readU64(buffer, at + 8, 'ENXIO');
      return then(
        methodOf(fs.lseek)(message.nodeId, readU64(buffer, at), offset, buffer.readUInt32LE(at + 16), context),
        offsetReply,
      );
    },
  },
} as const satisfies Record<string, Operation>;
