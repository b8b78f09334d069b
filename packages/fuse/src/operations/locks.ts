import { FuseError, type Awaitable, type FuseLock } from '../fuse-fs.ts';
import { argument, type Message } from '../wire/message.ts';
import { readEnd, readU64 } from '../wire/numbers.ts';
import { emptyReply, lockReply, lockTypes } from '../wire/replies.ts';
import { ownerAt } from './files.ts';
import { methodOf, then, type Call, type Operation, type Reply } from './operation.ts';

interface LockRequest {
  readonly fh: number;
  readonly owner: string;
  readonly lock: FuseLock;
  readonly isFlock: boolean;
}

function parseLock(message: Message): LockRequest {
  const at = argument(message, 48);
  const { buffer } = message;
  const type = lockTypes[buffer.readUInt32LE(at + 32)];
  if (type === undefined) throw new FuseError('EINVAL', 'A lock has no type.');
  const lock: FuseLock = {
    type,
    start: readU64(buffer, at + 16),
    end: readEnd(buffer, at + 24),
    pid: buffer.readUInt32LE(at + 36),
  };
  if (lock.end < lock.start) throw new FuseError('EINVAL', 'A lock ends before it starts.');
  return {
    ...{ lock, fh: readU64(buffer, at), owner: ownerAt(buffer, at + 8) },
    isFlock: (buffer.readUInt32LE(at + 40) & 1) !== 0,
  };
}

function setlk({ fs, message, context }: Call, wait: boolean): Awaitable<Reply> {
  const { fh, owner, lock, isFlock } = parseLock(message);
  return then(
    isFlock
      ? methodOf(fs.flock)(message.nodeId, fh, owner, lock.type, wait, context)
      : methodOf(fs.setlk)(message.nodeId, fh, owner, lock, wait, context),
    emptyReply,
  );
}

export const lockOperations = {
  getlk: {
    run: ({ fs, message, context }) => {
      const { fh, owner, lock } = parseLock(message);
      return then(methodOf(fs.getlk)(message.nodeId, fh, owner, lock, context), (other) =>
        lockReply(other ?? { ...lock, type: 'none', pid: 0 }),
      );
    },
  },
  setlk: { run: (call) => setlk(call, false) },
  setlkw: { waits: true, run: (call) => setlk(call, true) },
} as const satisfies Record<string, Operation>;
