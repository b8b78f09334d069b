import type { Readable } from 'node:stream';

/** Input that waits for the network. When there is more, its source waits. */
const queuedMaxBytes = 1024 * 1024;

export interface InputQueue {
  push(bytes: Uint8Array): void;
  end(): void;
  /** All that has arrived, at most `queuedMaxBytes` and one piece. Undefined after the end. */
  take(): Promise<Uint8Array | undefined>;
}

/** Joins pieces that arrive while an earlier one is on its way. `source` is paused while too much waits. */
export function createInputQueue(source: Pick<Readable, 'pause' | 'resume'>): InputQueue {
  let pieces: Uint8Array[] = [];
  let size = 0;
  let isEnded = false;
  let wake = (): void => undefined;
  return {
    push(bytes) {
      pieces.push(bytes);
      size += bytes.length;
      if (size >= queuedMaxBytes) source.pause();
      wake();
    },
    end() {
      isEnded = true;
      wake();
    },
    async take() {
      while (size === 0) {
        if (isEnded) return undefined;
        await new Promise<void>((resolve) => (wake = resolve));
      }
      const [only] = pieces;
      const taken = pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces);
      pieces = [];
      size = 0;
      source.resume();
      return taken;
    },
  };
}
