import type { Duplex } from 'node:stream';
import type { Stall } from './stall-budget.ts';

export interface PumpOptions {
  readonly from: Duplex;
  readonly to: Duplex;
  readonly stall: Stall;
  /** Counts bytes that were read. Returns the milliseconds to wait before more are read; Infinity: for ever. */
  readonly count: (bytes: number) => number;
  /** What becomes of bytes before they pass. Absent: they pass unchanged. */
  readonly filter?: ((bytes: Buffer) => Buffer | undefined) | undefined;
}

/** One direction of a connection. */
export interface Pump {
  readonly bytes: () => number;
  /** Writes bytes of another origin in between. */
  write(bytes: Buffer): void;
  /** Takes bytes that were read before. */
  push(bytes: Buffer): void;
  start(): void;
  /** `performance.now()` of the last bytes. */
  readonly activeAt: () => number;
}

/**
 * Moves bytes from one socket to another: ends when it ends, and reads no faster than the peer takes. Not
 * `stream.pipe`, because its bounds are fixed and it counts nothing.
 */
export function createPump({ from, to, stall, count, filter }: PumpOptions): Pump {
  let bytes = 0;
  let pending = 0;
  let isDelayed = false;
  let isFull = false;
  let activeAt = performance.now();
  let hasEnded = false;

  const update = (): void => {
    if (isDelayed || isFull) from.pause();
    else if (!hasEnded && !from.destroyed) from.resume();
  };
  const write = (chunk: Buffer): void => {
    if (chunk.length === 0 || !to.writable) return;
    pending += chunk.length;
    to.write(chunk, () => {
      pending -= chunk.length;
      stall.set(pending);
      activeAt = performance.now();
      if (!isFull || pending > stall.shareBytes() / 2) return;
      isFull = false;
      update();
    });
    // Most writes are taken by the kernel at once; only the others wait.
    stall.set(to.writableLength === 0 ? 0 : pending);
    if (pending < stall.shareBytes()) return;
    isFull = true;
    update();
  };
  const push = (chunk: Buffer): void => {
    bytes += chunk.length;
    activeAt = performance.now();
    const delayMs = count(chunk.length);
    const passed = filter === undefined ? chunk : filter(chunk);
    if (passed !== undefined) write(passed);
    if (delayMs <= 0) return;
    isDelayed = true;
    update();
    if (delayMs === Infinity) return;
    // A connection that has ended meanwhile is only kept in memory until then.
    setTimeout(
      () => {
        isDelayed = false;
        update();
      },
      Math.min(delayMs, 60_000),
    ).unref();
  };
  return {
    bytes: () => bytes,
    activeAt: () => activeAt,
    write,
    push,
    start() {
      const end = (): void => {
        hasEnded = true;
        to.end();
      };
      from.on('data', push);
      if (from.readableEnded) end();
      else from.on('end', end);
      update();
    },
  };
}
