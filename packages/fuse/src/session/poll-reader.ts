import { readSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import { codeOf } from './code-of.ts';
import { again, createBuffers, gone, type Reader, type ReaderEnd, type ReaderOptions } from './reader.ts';

/** What is used of Node's stream for pipes. It reads any descriptor that can be polled. */
interface PollHandle {
  readonly open: (fd: number) => number;
  readonly useUserBuffer: (buffer: Buffer) => void;
  onread: () => Buffer | undefined;
  readonly readStart: () => number;
  readonly readStop: () => number;
  readonly close: () => void;
}

interface Bindings {
  readonly newHandle: () => PollHandle;
  /** The result of the last read: a length or a negative errno. */
  readonly lastRead: () => number;
}

/** Internal to Node, which has no public way to poll a descriptor. `undefined` where it has changed. */
function findBindings(): Bindings | undefined {
  try {
    const { binding } = process as unknown as { binding: (name: string) => Record<string, unknown> };
    const { Pipe, constants } = binding('pipe_wrap') as {
      Pipe: new (type: number) => PollHandle;
      constants: { SOCKET: number };
    };
    const { streamBaseState, kReadBytesOrError } = binding('stream_wrap') as {
      streamBaseState: Int32Array;
      kReadBytesOrError: number;
    };
    const { prototype } = Pipe as { prototype: Record<string, unknown> };
    const isKnown = ['open', 'useUserBuffer', 'readStart', 'readStop'].every(
      (name) => typeof prototype[name] === 'function',
    );
    if (!isKnown || typeof streamBaseState[kReadBytesOrError] !== 'number') return undefined;
    return { newHandle: () => new Pipe(constants.SOCKET), lastRead: () => streamBaseState[kReadBytesOrError] ?? 0 };
  } catch {
    return undefined;
  }
}

/**
 * Reads in the event loop, by epoll: no thread waits. After each request it looks for the next one for `spinMs` before
 * it sleeps: to be woken takes longer than most requests. Returns `undefined` where that is not possible.
 */
export function startPollReader(options: ReaderOptions, spinMs: number): Reader | undefined {
  const bindings = findBindings();
  if (bindings === undefined) return undefined;
  const { fd, bufferBytes, onMessage } = options;
  const handle = bindings.newHandle();
  if (handle.open(fd) !== 0) return undefined;
  const buffers = createBuffers(options, () => resume());
  const ended = Promise.withResolvers<ReaderEnd>();
  // Libuv has only its address: this reference keeps it alive.
  let buffer = buffers.take();
  let isReading = false;
  let hasEnded = false;

  const end = (code: string): void => {
    if (hasEnded) return;
    hasEnded = true;
    if (!gone.has(code)) options.onFault(new Error(`Reading the device of a mount failed: ${code}`));
    handle.readStop();
    ended.resolve('gone');
  };

  const stop = (how: ReaderEnd): void => {
    if (hasEnded) return;
    hasEnded = true;
    handle.readStop();
    ended.resolve(how);
  };

  const accept = (bytes: number): void => {
    const inUse = onMessage(buffer, bytes);
    if (inUse === undefined) return;
    buffers.hold(buffer, inUse, resume);
    buffer = buffers.take();
  };

  /** Requests that are there already, or come while it spins. */
  const readMore = (): void => {
    let until = performance.now() + spinMs;
    while (options.hasRoom() && buffers.hasOne()) {
      try {
        accept(readSync(fd, buffer, 0, bufferBytes, null));
        until = performance.now() + spinMs;
      } catch (error) {
        const code = codeOf(error);
        if (!again.has(code)) {
          end(code);
          return;
        }
        if (performance.now() >= until) return;
      }
    }
  };

  const resume = (): void => {
    if (hasEnded || isReading || !options.hasRoom() || !buffers.hasOne()) return;
    isReading = true;
    handle.readStart();
  };

  handle.onread = () => {
    const bytes = bindings.lastRead();
    if (bytes < 0) {
      end(getSystemErrorName(bytes));
      return undefined;
    }
    // 0 means that libuv found nothing to read and waits again. The kernel takes a request back when its process is
    // killed, also after epoll has announced the request.
    if (bytes > 0) accept(bytes);
    if (spinMs > 0) readMore();
    if (!hasEnded && (!options.hasRoom() || !buffers.hasOne())) {
      isReading = false;
      handle.readStop();
    }
    return buffer;
  };
  handle.useUserBuffer(buffer);
  resume();
  return { resume, stop, ended: ended.promise, close: () => handle.close() };
}
