import { closeSync, read } from 'node:fs';
import { codeOf } from './code-of.ts';
import { again, createBuffers, gone, type Reader, type ReaderEnd, type ReaderOptions } from './reader.ts';

/** `readers` reads at once. Each holds a thread of libuv's pool while it waits. */
export function startPoolReader(options: ReaderOptions, readers: number): Reader {
  const { fd, bufferBytes, onMessage } = options;
  const buffers = createBuffers(options, () => resume());
  const ended = Promise.withResolvers<ReaderEnd>();
  /** Readers that wait for room. */
  let stopped = 0;
  let left = readers;
  let isStopped = false;
  let isClosed = false;

  const leave = (): void => {
    left -= 1;
    if (left > 0) return;
    ended.resolve('gone');
    closeIfUnused();
  };
  /** A descriptor that a thread reads must stay open. */
  const closeIfUnused = (): void => {
    if (isClosed && left === 0) closeSync(fd);
  };

  const next = (): void => {
    if (isStopped) {
      leave();
      return;
    }
    if (!options.hasRoom() || !buffers.hasOne()) {
      stopped += 1;
      return;
    }
    const buffer = buffers.take();
    read(fd, buffer, 0, bufferBytes, null, (error, bytes) => {
      if (error === null && isStopped) {
        leave();
        return;
      }
      if (error === null) {
        const inUse = onMessage(buffer, bytes);
        if (inUse === undefined) buffers.giveBack(buffer);
        else buffers.hold(buffer, inUse, resume);
        next();
        return;
      }
      buffers.giveBack(buffer);
      const code = codeOf(error);
      if (again.has(code)) {
        next();
        return;
      }
      if (!gone.has(code)) options.onFault(error);
      leave();
    });
  };

  const resume = (): void => {
    // Those who find no room stop again.
    for (let count = stopped; count > 0; count -= 1) {
      stopped -= 1;
      next();
    }
  };

  for (let count = readers; count > 0; count -= 1) next();
  const stop = (how: ReaderEnd): void => {
    isStopped = true;
    resume();
    // Threads that wait for a request come back with the next one, or never.
    ended.resolve(how);
  };
  const close = (): void => {
    isClosed = true;
    closeIfUnused();
  };
  return { resume, stop, ended: ended.promise, close };
}
