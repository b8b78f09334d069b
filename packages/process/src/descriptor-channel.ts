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
/** What nobody has claimed after so long belongs to a call that has failed. */
const staleMs = 10_000;

/** struct msghdr, struct iovec and struct cmsghdr with one descriptor, of 64-bit machines; what musl declares narrower it pads. */
const offsets = { header: 0, vector: 64, control: 96, payload: 128 } as const;
const controlBytes = 24;
const controlLength = 20;
const blockBytes = 160;

/** It stays where it is: pointers into it are part of it. */
const block = Buffer.alloc(blockBytes);

/**
 * Two ends of a way for open descriptors. A kernel object of its own: either process may be replaced by another with the same end.
 * Whoever made it closes both.
 */
export function createDescriptorPair(): [one: number, other: number] {
  return createSocketPair(addressFamily.unix, socketType.packets | socketType.nonBlock);
}

/**
 * Sends a copy of an open descriptor and gives the ticket by which the receiver finds it. When this returns it is there. The caller
 * closes its own. Throws `limit_exceeded` when the receiver has not taken earlier ones.
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
  /** The descriptor that was sent with the ticket; the caller owns it from now on. Undefined when there is none. */
  take(ticket: Uint8Array): number | undefined;
}

/** Closes what was sent to whoever had this end before. */
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
  /** The oldest come first. */
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
  // 0: the other side is gone, which the next one with its end is not.
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

/** One part of `ticketBytes`, and room for one descriptor. */
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
