import { closeSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { SoulBoxError } from '@soulbox/base';
import { addressOf, lastErrno, SystemCallError } from '@soulbox/linux/libc';
import { addressFamily, createSocketPair, message, recvmsg, sendmsg, socketType } from '@soulbox/linux/sockets';

/** asm-generic/errno-base.h */
const eagain = 11;
/** linux/socket.h: MSG_CMSG_CLOEXEC. */
const closeReceivedOnExec = message.closeOnExec;

const ticketBytes = 16;
/** A descriptor that nobody has claimed for this long belongs to a failed call. */
const staleMs = 10_000;

/**
 * struct msghdr, struct iovec and struct cmsghdr with one descriptor, as laid out on 64-bit machines. musl declares
 * some fields narrower and pads them.
 */
const offsets = { header: 0, vector: 64, control: 96, payload: 128 } as const;
const controlBytes = 24;
const controlLength = 20;
const blockBytes = 160;

/** Allocated once, because it contains pointers into itself. */
const block = Buffer.alloc(blockBytes);

/**
 * Creates the two ends of a channel for open descriptors. The channel is a kernel object of its own, so either process
 * may be replaced by another one with the same end. The creator closes both.
 */
export function createDescriptorPair(): [one: number, other: number] {
  return createSocketPair(addressFamily.unix, socketType.packets | socketType.nonBlock);
}

/**
 * Sends a copy of an open descriptor and returns the ticket by which the receiver finds it. It has arrived when this
 * returns. The caller closes its own descriptor. Throws `limit_exceeded` if the receiver has not taken earlier ones.
 */
export function sendDescriptor(channel: number, fd: number): Uint8Array {
  const ticket = randomBytes(ticketBytes);
  prepare(fd);
  ticket.copy(block, offsets.payload);
  if (sendmsg(channel, block, message.doNotWait | message.noSignal) === ticketBytes) return ticket;
  const errno = lastErrno();
  if (errno !== eagain) throw new SystemCallError('sendmsg', errno);
  throw new SoulBoxError('limit_exceeded', 'Too many connections are being handed over.');
}

export interface DescriptorReceiver extends Disposable {
  /**
   * Returns the descriptor that was sent with the ticket, or undefined if there is none. The caller owns it from now
   * on.
   */
  take(ticket: Uint8Array): number | undefined;
}

/** Also closes the descriptors that were sent to an earlier receiver at this end. */
export function createDescriptorReceiver(
  channel: number,
  { now = () => performance.now(), sweepMs = staleMs }: { now?: () => number; sweepMs?: number } = {},
): DescriptorReceiver {
  const waiting = new Map<string, { readonly fd: number; readonly atMs: number }>();
  for (let left = receive(channel); left !== undefined; left = receive(channel)) closeIfOpen(left.fd);

  const collect = (): void => {
    for (let next = receive(channel); next !== undefined; next = receive(channel)) {
      if (next.fd >= 0) waiting.set(next.ticket, { fd: next.fd, atMs: now() });
    }
  };
  /** The map is in order of arrival: the oldest come first. */
  const dropStale = (): void => {
    for (const [ticket, { fd, atMs }] of waiting) {
      if (now() - atMs < staleMs) return;
      closeSync(fd);
      waiting.delete(ticket);
    }
  };
  const timer = setInterval(() => {
    collect();
    dropStale();
  }, sweepMs);
  timer.unref();
  return {
    take(ticket) {
      collect();
      const name = Buffer.from(ticket).toString('hex');
      const found = waiting.get(name);
      waiting.delete(name);
      return found?.fd;
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      for (const { fd } of waiting.values()) closeSync(fd);
      waiting.clear();
    },
  };
}

function receive(channel: number): { readonly ticket: string; readonly fd: number } | undefined {
  prepare(-1);
  const size = recvmsg(channel, block, message.doNotWait | closeReceivedOnExec);
  // 0 means that the other process is gone. A later process with that end can still send.
  if (size <= 0) return undefined;
  const got = block.readBigUInt64LE(offsets.header + 40) >= BigInt(controlLength);
  const isDescriptor =
    got &&
    block.readInt32LE(offsets.control + 8) === message.socketLevel &&
    block.readInt32LE(offsets.control + 12) === message.descriptors;
  return {
    ticket: block.toString('hex', offsets.payload, offsets.payload + size),
    fd: isDescriptor ? block.readInt32LE(offsets.control + 16) : -1,
  };
}

/** Prepares a message of one part of `ticketBytes`, with room for one descriptor. */
function prepare(fd: number): void {
  const address = addressOf(block);
  block.fill(0);
  block.writeBigUInt64LE(address + BigInt(offsets.vector), offsets.header + 16);
  block.writeBigUInt64LE(1n, offsets.header + 24);
  block.writeBigUInt64LE(address + BigInt(offsets.control), offsets.header + 32);
  block.writeBigUInt64LE(BigInt(controlBytes), offsets.header + 40);
  block.writeBigUInt64LE(address + BigInt(offsets.payload), offsets.vector);
  block.writeBigUInt64LE(BigInt(ticketBytes), offsets.vector + 8);
  block.writeBigUInt64LE(BigInt(controlLength), offsets.control);
  block.writeInt32LE(message.socketLevel, offsets.control + 8);
  block.writeInt32LE(message.descriptors, offsets.control + 12);
  block.writeInt32LE(fd, offsets.control + 16);
}

function closeIfOpen(fd: number): void {
  if (fd >= 0) closeSync(fd);
}
