import type { Socket } from 'node:net';
import type { Lease } from '../sockets/large-buffers.ts';
import { readWith } from '../sockets/socket-reader.ts';
import { createReadMemory } from './read-memory.ts';
import type { Stall } from './stall-budget.ts';

export interface PumpOptions {
  readonly from: Socket;
  readonly to: Socket;
  readonly stall: Stall;
  /** Counts bytes that were read. Returns the milliseconds to wait before more are read; Infinity: for ever. */
  readonly count: (bytes: number) => number;
  /** What becomes of bytes before they pass. It may keep them. Absent: they pass unchanged. */
  readonly filter?: ((bytes: Buffer) => Buffer | undefined) | undefined;
  /** Sees the first bytes, which are valid only during the call. */
  readonly onFirst?: (bytes: Buffer) => void;
  /** Leases a buffer for reading more at once. Undefined if that is not wanted now. */
  readonly leaseBuffer: () => Lease | undefined;
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
export function createPump({ from, to, stall, count, filter, onFirst, leaseBuffer }: PumpOptions): Pump {
  const memory = createReadMemory(from, leaseBuffer);
  let bytes = 0;
  /** Bytes that the kernel has not taken yet. */
  let pending = 0;
  let isDelayed = false;
  let isFull = false;
  let activeAt = performance.now();
  let hasEnded = false;

  const mayRead = (): boolean => !isDelayed && !isFull && !memory.isPinned();
  const update = (): void => {
    if (!mayRead()) from.pause();
    else if (!hasEnded && !from.destroyed) from.resume();
  };
  const write = (chunk: Buffer, onTaken?: () => void): void => {
    if (chunk.length === 0 || !to.writable) return;
    pending += chunk.length;
    to.write(chunk, () => {
      pending -= chunk.length;
      stall.set(pending);
      activeAt = performance.now();
      onTaken?.();
      if (isFull && pending <= stall.shareBytes() / 2) isFull = false;
      else if (onTaken === undefined) return;
      update();
    });
    // Most writes are taken by the kernel at once; only the others wait.
    stall.set(to.writableLength === 0 ? 0 : pending);
    if (pending < stall.shareBytes()) return;
    isFull = true;
    update();
  };
  const pass = (chunk: Buffer, forward: (bytes: Buffer) => void): void => {
    bytes += chunk.length;
    activeAt = performance.now();
    const delayMs = count(chunk.length);
    onFirst?.(chunk);
    onFirst = undefined;
    forward(chunk);
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
  const push = (chunk: Buffer): void =>
    pass(chunk, (own) => {
      const passed = filter === undefined ? own : filter(own);
      if (passed !== undefined) write(passed);
    });
  /** Without a copy: if the kernel does not take all bytes at once, nothing is read into their memory until it has. */
  const writeLeased = (leased: Buffer): void => {
    let isPinned = false;
    write(leased, () => {
      if (isPinned) memory.unpin();
    });
    isPinned = to.writableLength > 0;
    if (isPinned) memory.pin();
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
      // A filter may keep bytes and needs no speed.
      if (filter !== undefined) from.on('data', push);
      else
        readWith(from, {
          take(chunk, isShared) {
            memory.filled(chunk.length);
            if (isShared) pass(chunk, (bytes) => write(Buffer.from(bytes)));
            else pass(chunk, writeLeased);
            return mayRead();
          },
          buffer: () => memory.next(),
        });
      if (from.readableEnded) end();
      else from.on('end', end);
      update();
    },
  };
}
