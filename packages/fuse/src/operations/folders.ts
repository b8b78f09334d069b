import { listReply, maxEntries } from '../wire/folder-list.ts';
import { argument } from '../wire/message.ts';
import { readU64 } from '../wire/numbers.ts';
import { emptyReply, openReply } from '../wire/replies.ts';
import { methodOf, then, type Call, type Operation, type Reply } from './operation.ts';
import type { Awaitable } from '../fuse-fs.ts';

/** The kernel asks for 4 KiB to 1 MiB; no buffer of more is made for it. */
const maxListBytes = 1024 * 1024;

function list({ fs, message, context }: Call, plus: boolean): Awaitable<Reply> {
  const at = argument(message, 40);
  const { buffer } = message;
  const size = Math.min(buffer.readUInt32LE(at + 16), maxListBytes);
  const count = maxEntries(size, plus);
  const cookie = readU64(buffer, at + 8);
  return then(methodOf(fs.readdir)(message.nodeId, readU64(buffer, at), cookie, count, plus, context), (entries) =>
    listReply(entries, size, plus),
  );
}

export const folderOperations = {
  opendir: {
    run: ({ fs, message, context }) => {
      const at = argument(message, 8);
      return then(methodOf(fs.opendir)(message.nodeId, message.buffer.readUInt32LE(at), context), openReply);
    },
  },
  readdir: { run: (call) => list(call, false) },
  readdirplus: { countsList: true, run: (call) => list(call, true) },
  releasedir: {
    run: ({ fs, message, context }) => {
      const at = argument(message, 24);
      return then(methodOf(fs.releasedir)(message.nodeId, readU64(message.buffer, at), context), emptyReply);
    },
  },
  fsyncdir: {
    run: ({ fs, message, context }) => {
      const at = argument(message, 16);
      const dataOnly = (message.buffer.readUInt32LE(at + 8) & 1) !== 0;
      return then(methodOf(fs.fsyncdir)(message.nodeId, readU64(message.buffer, at), dataOnly, context), emptyReply);
    },
  },
} as const satisfies Record<string, Operation>;
