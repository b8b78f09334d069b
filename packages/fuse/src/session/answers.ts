import { write as writeWithCallback, writeSync, writevSync } from 'node:fs';
import { promisify } from 'node:util';
import type { Reply } from '../operations/operation.ts';
import type { NamedOperation } from '../operations/operations.ts';
import { errnoOf, isFuseError } from '../wire/errno.ts';
import { nodesOfList } from '../wire/folder-list.ts';
import type { Message } from '../wire/message.ts';
import { readU64 } from '../wire/numbers.ts';
import { headerOutBytes, newReply } from '../wire/replies.ts';
import { codeOf } from './code-of.ts';
import type { Lookups } from './lookups.ts';

export interface Answers {
  readonly answer: (message: Message, operation: NamedOperation, reply: Reply) => void;
  readonly fail: (message: Message, error: unknown) => void;
  /** For what is no request. */
  readonly done: (message: Message) => void;
  /** For a message that cannot be read, so that its caller does not wait for ever: `unique` as it came. */
  readonly refuse: (unique: Uint8Array) => void;
  /** Makes the kernel send again what has no reply. It waits for nobody. */
  readonly resend: (message: Buffer) => void;
  /** A message of our own. Unknown nodes are none to drop, and a mount that is gone has nothing. */
  readonly notify: (message: Buffer) => Promise<void>;
  /**
   * Begins nothing any more. Settled when nothing uses the descriptor: its number may be that of another file then. A
   * message of our own can wait for ever in the kernel, if nobody serves the mount.
   */
  readonly end: () => Promise<unknown>;
}

const writeInPool = promisify(writeWithCallback);

/** The kernel gave up the request, or the mount is gone. */
const givenUp = new Set(['ENOENT', 'ENODEV', 'ECONNABORTED']);
const nothingToDrop = new Set([...givenUp, 'ENOTDIR', 'ENOTCONN', 'EPERM']);

function nodesOf(operation: NamedOperation, reply: Buffer): readonly number[] {
  if (operation.countsEntry === true) return [readU64(reply, headerOutBytes)];
  return operation.countsList === true ? nodesOfList(reply) : [];
}

export function createAnswers(fd: number, lookups: Lookups, fault: (error: unknown) => void): Answers {
  /** One at a time, so that they hold no more than one thread of the pool. */
  let lastNotice: Promise<unknown> = Promise.resolve();
  let hasEnded = false;

  /** Whether the kernel took it. */
  function write(message: Message, reply: Reply, bytes: number): boolean {
    if (hasEnded) return false;
    const header = 'pieces' in reply ? newReply(0) : reply;
    header.writeUInt32LE(bytes, 0);
    header.writeUInt32LE(message.unique % 0x1_0000_0000, 8);
    const high = Math.floor(message.unique / 0x1_0000_0000);
    header.writeUInt32LE(message.isResent ? (high | 0x8000_0000) >>> 0 : high, 12);
    try {
      if ('pieces' in reply) writevSync(fd, [header, ...reply.pieces]);
      else writeSync(fd, reply);
      return true;
    } catch (error) {
      if (!givenUp.has(codeOf(error))) fault(error);
      return false;
    }
  }

  /** In the thread pool: the kernel may wait for a request that this thread has to answer. */
  async function notice(message: Buffer): Promise<void> {
    if (hasEnded) return;
    try {
      await writeInPool(fd, message);
    } catch (error) {
      if (!nothingToDrop.has(codeOf(error))) throw error;
    }
  }

  function fail(message: Message, error: unknown): void {
    if (!isFuseError(error)) fault(error);
    const reply = newReply(0);
    reply.writeInt32LE(-errnoOf(isFuseError(error) ? error.code : 'EIO'), 4);
    write(message, reply, reply.length);
  }

  return {
    fail,
    answer: (message, operation, reply) => {
      if ('pieces' in reply) {
        write(
          message,
          reply,
          reply.pieces.reduce((sum, { length }) => sum + length, headerOutBytes),
        );
        return;
      }
      const nodes = nodesOf(operation, reply);
      // First: a FORGET may come before the write returns.
      for (const node of nodes) lookups.add(node);
      if (write(message, reply, reply.length)) return;
      for (const node of nodes) if (node !== 0) lookups.forget(node, 1);
    },
    done: (message) => void write(message, newReply(0), headerOutBytes),
    refuse: (unique) => {
      const reply = newReply(0);
      reply.writeUInt32LE(reply.length, 0);
      reply.writeInt32LE(-errnoOf('EIO'), 4);
      reply.set(unique, 8);
      try {
        writeSync(fd, reply);
      } catch (error) {
        if (!givenUp.has(codeOf(error))) fault(error);
      }
    },
    resend: (message) => {
      try {
        writeSync(fd, message);
      } catch (error) {
        if (!givenUp.has(codeOf(error))) throw error;
      }
    },
    notify: async (message) => {
      const turn = lastNotice.then(() => notice(message));
      lastNotice = turn.catch(() => undefined);
      await turn;
    },
    end: () => {
      hasEnded = true;
      return lastNotice;
    },
  };
}
