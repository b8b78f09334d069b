import { FuseError, type Awaitable, type FuseFs, type FuseNotify } from '../fuse-fs.ts';
import { then, type Call, type Reply } from '../operations/operation.ts';
import { operations, type NamedOperation } from '../operations/operations.ts';
import type { Negotiated } from '../wire/init.ts';
import { argument, parseMessage, uniqueOf, type Message } from '../wire/message.ts';
import { invalidateEntryMessage, invalidateNodeMessage, resendMessage } from '../wire/notify.ts';
import { readU64 } from '../wire/numbers.ts';
import { opcodes } from '../wire/opcodes.ts';
import { headerOutBytes } from '../wire/replies.ts';
import { createAnswers } from './answers.ts';
import { createContext, type AbortableContext } from './context.ts';
import { createLookups } from './lookups.ts';
import { startPollReader } from './poll-reader.ts';
import { startPoolReader } from './pool-reader.ts';
import { createStatsRecorder, type SessionStats } from './stats.ts';
import type { WriteBuffers } from './write-buffers.ts';

export interface ServeOptions {
  /**
   * How requests are read. `poll`: in the event loop, by internals of Node.js; where those have changed it is `pool`.
   * `pool`: by two threads of libuv's pool, which then needs more than twice as many as there are mounts
   * (UV_THREADPOOL_SIZE). Default `poll`.
   */
  readonly reader?: 'poll' | 'pool';
  /**
   * With `poll`: how long to look for the next request before sleeping. On a machine without an idle processor it delays
   * whoever would send one. Default 0.
   */
  readonly spinMs?: number;
  /** Requests that are handled at once; further ones wait in the kernel. Default 64. */
  readonly maxConcurrent?: number;
  /** Requests that wait for a lock at once; a further one gets ENOLCK. Default 1024. */
  readonly maxWaiting?: number;
  /** Bounds the memory of this and other mounts together. Default: each mount holds 32 at most. */
  readonly writeBuffers?: WriteBuffers;
  /** What is wrong, but ended nothing: an error of the file system that is not a `FuseError`, or of the device. */
  readonly onFault?: (error: unknown) => void;
}

/** A mount whose INIT is done. */
export interface Connection {
  /** The device. It is closed when the mount is gone, and after `stop`. */
  readonly fd: number;
  readonly negotiated: Negotiated;
  /** Another process has handled requests. The kernel is told to send again what has no reply. */
  readonly isTakeover: boolean;
}

export interface Serving {
  readonly notify: FuseNotify;
  readonly stats: () => SessionStats;
  /** When the mount is gone, every method has returned, and `destroy` is done. */
  readonly closed: Promise<void>;
  /**
   * Ends the serving and not the mount, which others hold with descriptors of their own. A later `serve` with
   * `isTakeover` goes on. Requests that are being handled get their answers. Those that wait for a lock get none: the
   * kernel will send them again. `destroy` is not called, and `closed` is never settled. Does nothing for a mount that is
   * gone.
   */
  readonly stop: () => Promise<void>;
  /**
   * Closes the device as if the mount was gone: requests that wait are aborted, `destroy` is called, and `closed` is
   * settled. If no other process has the device, the kernel ends the mount in every namespace: a mount namespace that is
   * made while it is mounted has a copy, and the kernel tells a server of the end of the last one only. With `reader:
   * 'pool'` the two threads that wait for a request keep the device until two more requests have come. Does nothing for
   * a mount that is gone.
   */
  readonly abandon: () => Promise<void>;
}

const poolReaders = 2;

export async function serve(fs: FuseFs, connection: Connection, options: ServeOptions = {}): Promise<Serving> {
  const {
    reader: wantedReader = 'poll',
    spinMs = 0,
    maxConcurrent = 64,
    maxWaiting = 1024,
    writeBuffers,
    onFault = () => undefined,
  } = options;
  const { fd, negotiated, isTakeover } = connection;
  const stats = createStatsRecorder();
  const inFlight = new Map<number, AbortableContext>();
  /** Those of `inFlight` that wait for a lock. */
  const waiting = new Set<AbortableContext>();
  const settling = new Set<Promise<void>>();
  let isStopping = false;
  const counts = { resent: 0, replayed: 0, faults: 0 };

  const fault = (error: unknown): void => {
    counts.faults += 1;
    onFault(error);
  };
  const lookups = createLookups((nodeId) => {
    try {
      fs.forget?.(nodeId);
    } catch (error) {
      fault(error);
    }
  });
  const answers = createAnswers(fd, lookups, fault);

  function run(operation: NamedOperation, call: Call): Awaitable<Reply> {
    if (!call.message.isResent || fs.findReply === undefined) return operation.run(call);
    return then(fs.findReply(call.context.unique), (stored) => {
      if (stored === undefined) return operation.run(call);
      if (stored.length < headerOutBytes) throw new RangeError('A stored reply is shorter than its header.');
      counts.replayed += 1;
      return Buffer.from(stored);
    });
  }

  function handle(message: Message, operation: NamedOperation): Promise<void> | undefined {
    const start = performance.now();
    const context = createContext(message);
    if (message.isResent) counts.resent += 1;
    try {
      if (operation.waits === true && waiting.size >= maxWaiting) throw new FuseError('ENOLCK');
      const result = run(operation, { fs, message, context });
      if (result instanceof Promise) return track({ message, operation, context, result, start });
      answers.answer(message, operation, result);
      stats.record(operation.name, performance.now() - start, false);
    } catch (error) {
      answers.fail(message, error);
      stats.record(operation.name, performance.now() - start, true);
    }
    return undefined;
  }

  /** Owns a request whose method has not returned. */
  function track(request: {
    readonly message: Message;
    readonly operation: NamedOperation;
    readonly context: AbortableContext;
    readonly result: Promise<Reply>;
    readonly start: number;
  }): Promise<void> {
    const { message, operation } = request;
    const finish = async (): Promise<void> => {
      let failed = false;
      try {
        answers.answer(message, operation, await request.result);
      } catch (error) {
        failed = true;
        // Its caller goes on waiting.
        if (!isStopping || operation.waits !== true) answers.fail(message, error);
      }
      inFlight.delete(message.unique);
      waiting.delete(request.context);
      stats.record(operation.name, performance.now() - request.start, failed);
      reader.resume();
    };
    inFlight.set(message.unique, request.context);
    if (operation.waits === true) waiting.add(request.context);
    const settled = finish().finally(() => settling.delete(settled));
    settling.add(settled);
    return settled;
  }

  function forgetMany(message: Message): void {
    const at = argument(message, 8);
    const count = message.buffer.readUInt32LE(at);
    if (message.end - at - 8 < count * 16) throw new FuseError('EIO', `A list of ${count} nodes is shorter.`);
    for (let offset = at + 8; offset < at + 8 + count * 16; offset += 16) {
      lookups.forget(readU64(message.buffer, offset), readU64(message.buffer, offset + 8));
    }
  }

  function interrupt(message: Message): void {
    const at = argument(message, 8);
    // Without the bit of resent requests.
    const high = message.buffer.readUInt32LE(at + 4) & 0x7fff_ffff;
    const context = inFlight.get(high * 0x1_0000_0000 + message.buffer.readUInt32LE(at));
    // It is done, or its read is not yet here: with EAGAIN the kernel asks again as long as it has no reply.
    if (context === undefined) answers.fail(message, new FuseError('EAGAIN'));
    else context.abort();
  }

  /** What has no reply, or is about the session itself. */
  function handleSpecial(message: Message): boolean {
    switch (message.opcode) {
      case opcodes.forget:
        lookups.forget(message.nodeId, readU64(message.buffer, argument(message, 8)));
        return true;
      case opcodes.batch_forget:
        forgetMany(message);
        return true;
      case opcodes.interrupt:
        interrupt(message);
        return true;
      case opcodes.notify_reply:
        return true;
      case opcodes.destroy:
        answers.done(message);
        return true;
      default:
        return false;
    }
  }

  function onMessage(buffer: Buffer, bytes: number): Promise<void> | undefined {
    let message: Message;
    try {
      message = parseMessage(buffer, bytes);
    } catch (error) {
      fault(error);
      const unique = uniqueOf(buffer, bytes);
      if (unique !== undefined) answers.refuse(unique);
      return undefined;
    }
    try {
      if (handleSpecial(message)) return undefined;
    } catch (error) {
      fault(error);
      return undefined;
    }
    const operation = operations[message.opcode];
    if (operation === undefined) {
      answers.fail(message, new FuseError('ENOSYS'));
      return undefined;
    }
    const settled = handle(message, operation);
    // The others have copied what they need.
    return message.opcode === opcodes.write || message.isResent ? settled : undefined;
  }

  const notify: FuseNotify = {
    invalidateNode: async (nodeId, offset, length) => {
      await answers.notify(invalidateNodeMessage(nodeId, offset, length));
    },
    invalidateEntry: async (parent, name) => {
      await answers.notify(invalidateEntryMessage(parent, name));
    },
  };
  await fs.init?.({ isTakeover, maxWriteBytes: negotiated.maxWriteBytes, notify });
  // Before the first read: a request that this process has begun would come a second time.
  if (isTakeover) answers.resend(resendMessage());
  const readerOptions = {
    ...{ fd, onMessage, onFault: fault, bufferBytes: negotiated.maxWriteBytes + 4096, writeBuffers },
    hasRoom: () => inFlight.size - waiting.size < maxConcurrent,
  };
  const reader =
    (wantedReader === 'poll' ? startPollReader(readerOptions, spinMs) : undefined) ??
    startPoolReader(readerOptions, poolReaders);

  const closed = Promise.withResolvers<undefined>();
  const end = async (): Promise<void> => {
    const isGone = (await reader.ended) === 'gone';
    for (const context of isGone ? inFlight.values() : waiting) context.abort();
    await Promise.all(settling);
    void answers.end().then(reader.close);
    if (!isGone) return;
    await fs.destroy?.();
    closed.resolve(undefined);
  };
  const ended = end();
  ended.catch(closed.reject);
  return {
    notify,
    stats: () => ({
      ...counts,
      waiting: waiting.size,
      operations: stats.operations(),
      inFlight: inFlight.size - waiting.size,
      knownNodes: lookups.size(),
    }),
    closed: closed.promise,
    stop: async () => {
      isStopping = true;
      reader.stop('stopped');
      await ended;
    },
    abandon: async () => {
      reader.stop('gone');
      await ended;
    },
  };
}
