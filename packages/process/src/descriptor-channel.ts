import { closeSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { SoulBoxError } from '@soulbox/base';
import { lastErrno, SystemCallError } from '@soulbox/linux/libc';
import { addressFamily, createSocketPair, message, socketType } from '@soulbox/linux/sockets';
import { receiveMessage, sendMessage } from '@soulbox/linux/unix-messages';

/** asm-generic/errno-base.h */
const eagain = 11;
const ticketBytes = 16;
/** A descriptor that nobody has claimed for this long belongs to a failed call. */
const staleMs = 10_000;

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
  if (sendMessage(channel, ticket, [fd], message.doNotWait) === ticketBytes) return ticket;
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
  const received = receiveMessage(channel, { maxBytes: ticketBytes, maxDescriptors: 1 }, message.doNotWait);
  // No bytes mean that the other process is gone. A later process with that end can still send.
  if (received === undefined || received.bytes.length === 0) return undefined;
  return { ticket: received.bytes.toString('hex'), fd: received.descriptors[0] ?? -1 };
}

function closeIfOpen(fd: number): void {
  if (fd >= 0) closeSync(fd);
}
