import { FuseError } from '../fuse-fs.ts';
import { argument, behindString, copyOf, xattrNameAt } from '../wire/message.ts';
import { countReply, emptyReply } from '../wire/replies.ts';
import { methodOf, then, type Operation, type Reply } from './operation.ts';

const zero = Buffer.alloc(1);
/** Made once: the kernel asks for an attribute of each new file, and the stack of an error takes longer than the answer. */
const absent = new FuseError('ENODATA');
/** XATTR_SIZE_MAX, XATTR_LIST_MAX. */
const maxXattrBytes = 65_536;

/** A size of 0 asks how long it is. */
function sized(pieces: readonly Uint8Array[], size: number): Reply {
  let bytes = 0;
  for (const piece of pieces) bytes += piece.length;
  if (bytes > maxXattrBytes) throw new FuseError('E2BIG', `Extended attributes have ${bytes} bytes.`);
  if (size === 0) return countReply(bytes);
  if (bytes > size) throw new FuseError('ERANGE', `${bytes} bytes do not fit into ${size}.`);
  return { pieces };
}

export const xattrOperations = {
  setxattr: {
    run: ({ fs, message, context }) => {
      const at = argument(message, 8);
      const { buffer } = message;
      const size = buffer.readUInt32LE(at);
      const name = xattrNameAt(message, at + 8);
      const start = behindString(message, at + 8);
      if (size > maxXattrBytes) throw new FuseError('E2BIG', `An extended attribute has ${size} bytes.`);
      if (message.end - start < size) throw new FuseError('EIO', `An attribute of ${size} bytes has fewer.`);
      const value = copyOf(message, start, start + size);
      const flags = buffer.readUInt32LE(at + 4);
      return then(methodOf(fs.setxattr)(message.nodeId, name, value, flags, context), emptyReply);
    },
  },
  getxattr: {
    run: ({ fs, message, context }) => {
      const at = argument(message, 8);
      const size = message.buffer.readUInt32LE(at);
      return then(methodOf(fs.getxattr)(message.nodeId, xattrNameAt(message, at + 8), context), (value) => {
        if (value === undefined) throw absent;
        return sized([value], size);
      });
    },
  },
  listxattr: {
    run: ({ fs, message, context }) => {
      const size = message.buffer.readUInt32LE(argument(message, 8));
      return then(methodOf(fs.listxattr)(message.nodeId, context), (names) =>
        sized([Buffer.concat(names.flatMap((name) => [name, zero]))], size),
      );
    },
  },
  removexattr: {
    run: ({ fs, message, context }) =>
      then(methodOf(fs.removexattr)(message.nodeId, xattrNameAt(message, 40), context), emptyReply),
  },
} as const satisfies Record<string, Operation>;
