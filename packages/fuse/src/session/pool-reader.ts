import { closeSync, read } from 'node:fs';
import { codeOf } from './code-of.ts';
import { createBuffers, gone, type Reader, type ReaderOptions } from './reader.ts';

/** A signal came, or the request was taken back. */
const again = new Set(['ENOENT', 'EINTR', 'EAGAIN']);

/** `readers` reads at once. Each holds a thread of libuv's pool while it waits. */
export function startPoolReader(options: ReaderOptions, readers: number): Reader {
  const { fd, bufferBytes, onMessage } = options;
  const buffers = createBuffers(bufferBytes);
  const ended = Promise.withResolvers<undefined>();
  /** Readers that wait for room. */
  let stopped = 0;
  let left = readers;

  const next = (): void => {
    if (!options.hasRoom() || !buffers.hasOne()) {
      stopped += 1;
      return;
    }
    const buffer = buffers.take();
    read(fd, buffer, 0, bufferBytes, null, (error, bytes) => {
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
      left -= 1;
      if (left > 0) return;
      closeSync(fd);
      ended.resolve(undefined);
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
  return { resume, ended: ended.promise };
}
