import type { Socket } from 'node:net';
import { descriptorOf, sendAtOnce } from '@soulbox/linux/sockets';
import { readWith } from '../sockets/socket-reader.ts';
import type { Stall } from './stall-budget.ts';

export interface PumpOptions {
  readonly from: Socket;
  readonly to: Socket;
  readonly stall: Stall;
  /** Counts bytes that were read. Returns the milliseconds to wait before more are read; Infinity: for ever. */
  readonly count: (bytes: number) => number;
  /** What becomes of bytes before they pass. It may keep them. Absent: they pass unchanged, and faster. */
  readonly filter?: ((bytes: Buffer) => Buffer | undefined) | undefined;
  /** Sees the first bytes, which are valid only during the call. */
  readonly onFirst?: (bytes: Buffer) => void;
  /** Whether bytes have a limit, which a large read would exceed. */
  readonly isLimited: () => boolean;
}

/** One direction of a connection. */
export interface Pump {
  readonly bytes: () => number;
  /** Writes bytes of another origin in between. The caller no longer changes them. */
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
export function createPump({ from, to, stall, count, filter, onFirst, isLimited }: PumpOptions): Pump {
  let bytes = 0;
  /** Bytes that the kernel has not taken yet. */
  let pending = 0;
  let isDelayed = false;
  let isFull = false;
  let activeAt = performance.now();
  let hasEnded = false;
  // Without a filter, no more is read while something waits. So at most one read waits.
  const shareBytes = (): number => (filter === undefined ? 1 : stall.shareBytes());

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
      if (!isFull || pending > shareBytes() / 2) return;
      isFull = false;
      update();
    });
    // Most writes are taken by the kernel at once; only the others wait.
    stall.set(to.writableLength === 0 ? 0 : pending);
    if (to.writableLength === 0 || pending < shareBytes()) return;
    isFull = true;
    update();
  };
  /** Copies only what the kernel does not take now. Errors show when the rest is written. */
  const forward = (chunk: Buffer): void => {
    const isFirstInLine = to.writable && to.writableLength === 0;
    const sent = isFirstInLine ? sendAtOnce(descriptorOf(to), chunk) : 0;
    if (sent < chunk.length) write(Buffer.from(chunk.subarray(sent)));
  };
  const pass = (chunk: Buffer): void => {
    bytes += chunk.length;
    activeAt = performance.now();
    const delayMs = count(chunk.length);
    onFirst?.(chunk);
    onFirst = undefined;
    if (filter === undefined) forward(chunk);
    else write(filter(chunk) ?? empty);
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
    push: pass,
    start() {
      const end = (): void => {
        hasEnded = true;
        to.end();
      };
      if (filter !== undefined) from.on('data', pass);
      else
        readWith(from, {
          take(chunk) {
            pass(chunk);
            return !isDelayed && !isFull;
          },
          mayTakeMuch: () => !isLimited() && stall.isPlenty(),
        });
      if (from.readableEnded) end();
      else from.on('end', end);
      update();
    },
  };
}

const empty = Buffer.alloc(0);
