import type { WriteBuffers } from './write-buffers.ts';

export interface Reader {
  /** Reads on if it stopped because there was no room. */
  readonly resume: () => void;
  /**
   * Reads no more, and settles `ended` with `how`. What another thread is reading at this moment has no reply, so the
   * kernel can send it again.
   */
  readonly stop: (how: ReaderEnd) => void;
  readonly ended: Promise<ReaderEnd>;
  /**
   * Closes the descriptor. Not before the last reply: its number would belong to another file by then. Not before
   * `ended`.
   */
  readonly close: () => void;
}

/** The mount is gone, or counts as gone. `stopped`: it goes on without this process. */
export type ReaderEnd = 'gone' | 'stopped';

export interface ReaderOptions {
  readonly fd: number;
  readonly bufferBytes: number;
  readonly writeBuffers: WriteBuffers | undefined;
  readonly hasRoom: () => boolean;
  /** Returns a promise as long as the content of the buffer is needed. */
  readonly onMessage: (buffer: Buffer, bytes: number) => Promise<void> | undefined;
  readonly onFault: (error: unknown) => void;
}

/** Nothing to read: a signal came, or the request was taken back. */
export const again: ReadonlySet<string> = new Set(['ENOENT', 'EINTR', 'EAGAIN']);

/** Unmounted, or aborted. */
export const gone: ReadonlySet<string> = new Set(['ENODEV', 'ECONNABORTED']);

/** Data of writes that wait in the file system stay in the buffers in which they were read: so many at once. */
const maxHeldBuffers = 32;
/** Kept for the next requests. */
const maxSpareBuffers = 2;

export interface Buffers {
  readonly hasOne: () => boolean;
  readonly take: () => Buffer;
  readonly giveBack: (buffer: Buffer) => void;
  /** Keeps it until `inUse` is settled, then calls `onFree`. */
  readonly hold: (buffer: Buffer, inUse: Promise<void>, onFree: () => void) => void;
}

/** `resume` is called when a buffer that other mounts held is free. */
export function createBuffers(
  { bufferBytes, writeBuffers }: Pick<ReaderOptions, 'bufferBytes' | 'writeBuffers'>,
  resume: () => void,
): Buffers {
  const spare: Buffer[] = [];
  let held = 0;
  const giveBack = (buffer: Buffer): void => {
    if (spare.length < maxSpareBuffers) spare.push(buffer);
  };
  return {
    hasOne() {
      if (held >= maxHeldBuffers) return false;
      if (held === 0 || writeBuffers === undefined || writeBuffers.hasOne()) return true;
      writeBuffers.wait(resume);
      return false;
    },
    take: () => spare.pop() ?? Buffer.allocUnsafeSlow(bufferBytes),
    giveBack,
    hold: (buffer, inUse, onFree) => {
      held += 1;
      writeBuffers?.take();
      void inUse.then(() => {
        held -= 1;
        giveBack(buffer);
        writeBuffers?.giveBack();
        onFree();
      });
    },
  };
}
