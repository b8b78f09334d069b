import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { ioctl, read } from '@soulbox/linux/descriptors';
import { check, lastErrno } from '@soulbox/linux/libc';
import { pageBytes } from './page-map.ts';

const { EAGAIN, EEXIST, EINTR, ENOENT, ENOMEM, ESRCH } = constants.errno;

// linux/userfaultfd.h: _IOR and _IOWR of type 0xaa, whose encoding is the same on x86-64 and arm64.
const wakeRequest = 0x8010aa02;
const copyRequest = 0xc028aa03;
const zeroRequest = 0xc020aa04;
const messageBytes = 32;
const messagesAtOnce = 32;

/** One event of a process, as userfaultfd(2) describes it. Addresses are whole pages. */
export type UserFaultEvent =
  | { readonly kind: 'fault'; readonly address: number }
  | { readonly kind: 'fork'; readonly child: UserFault }
  | { readonly kind: 'move'; readonly from: number; readonly to: number; readonly length: number }
  /** The process wants zeros there (`remove`, by madvise) or has unmapped the range (`unmap`). */
  | { readonly kind: 'remove' | 'unmap'; readonly start: number; readonly end: number };

/**
 * The result of filling pages: `done` bytes are filled; if that is none, the reason:
 *
 * - `again`: the process changes its mappings, or its memory limit is reached: read its events, then try again
 * - `exists`: the first page already exists
 * - `unmapped`: no single mapping served by this descriptor contains the whole range
 * - `ended`: the process, or the program that had this memory, is gone
 */
export type Filling = { readonly done: number } | 'again' | 'exists' | 'unmapped' | 'ended';

const messages = Buffer.alloc(messageBytes * messagesAtOnce);
const argument = Buffer.alloc(40);

export interface UserFault {
  readonly fd: number;
  /** Reads the reported events of the process; none if there are none. Never blocks. */
  takeEvents(): UserFaultEvent[];
  /** Copies memory at `source` into missing pages and wakes the threads that wait for them. */
  copy(start: number, source: bigint, length: number): Filling;
  /** Fills one missing page with zeros and wakes the threads that wait for it. */
  zero(start: number): Filling;
  /** Wakes the threads that wait for a page, so that they try again. */
  wake(start: number): void;
  close(): void;
}

/** The kernel's side of one process's missing memory. Closing it would give the process zeros for all missing pages. */
export function createUserFault(fd: number): UserFault {
  return {
    fd,
    takeEvents() {
      const bytes = read(fd, messages, messages.length);
      if (bytes < 0 && (lastErrno() === EAGAIN || lastErrno() === EINTR)) return [];
      check('read of a userfaultfd', bytes);
      const events: UserFaultEvent[] = [];
      for (let at = 0; at < bytes; at += messageBytes)
        events.push(parseEvent(messages.subarray(at, at + messageBytes)));
      return events;
    },
    copy(start, source, length) {
      argument.writeBigUInt64LE(BigInt(start), 0);
      argument.writeBigUInt64LE(source, 8);
      argument.writeBigUInt64LE(BigInt(length), 16);
      argument.writeBigUInt64LE(0n, 24);
      argument.writeBigInt64LE(0n, 32);
      if (ioctl(fd, copyRequest, argument) === 0) return { done: length };
      return fillingFrom(Number(argument.readBigInt64LE(32)), lastErrno());
    },
    zero(start) {
      argument.writeBigUInt64LE(BigInt(start), 0);
      argument.writeBigUInt64LE(BigInt(pageBytes), 8);
      argument.writeBigUInt64LE(0n, 16);
      argument.writeBigInt64LE(0n, 24);
      if (ioctl(fd, zeroRequest, argument) === 0) return { done: pageBytes };
      return fillingFrom(Number(argument.readBigInt64LE(24)), lastErrno());
    },
    wake(start) {
      argument.writeBigUInt64LE(BigInt(start), 0);
      argument.writeBigUInt64LE(BigInt(pageBytes), 8);
      ioctl(fd, wakeRequest, argument);
    },
    close: () => closeSync(fd),
  };
}

function parseEvent(message: Buffer): UserFaultEvent {
  const word = (at: number): number => Number(message.readBigUInt64LE(at));
  switch (message[0]) {
    case 0x12:
      return { kind: 'fault', address: Math.floor(word(16) / pageBytes) * pageBytes };
    case 0x13:
      return { kind: 'fork', child: createUserFault(message.readUInt32LE(8)) };
    case 0x14:
      return { kind: 'move', from: word(8), to: word(16), length: word(24) };
    case 0x15:
      return { kind: 'remove', start: word(8), end: word(16) };
    case 0x16:
      return { kind: 'unmap', start: word(8), end: word(16) };
    default:
      throw new Error(`A userfaultfd reported the unknown event ${message[0] ?? -1}.`);
  }
}

/** The kernel writes into the request how far it came, or why it did not begin; in the latter case not always. */
function fillingFrom(noted: number, error: number): Filling {
  if (noted > 0) return { done: noted };
  switch (noted < 0 ? -noted : error) {
    case EAGAIN:
    case EINTR:
    case ENOMEM:
      return 'again';
    case EEXIST:
      return 'exists';
    case ENOENT:
      return 'unmapped';
    case ESRCH:
      return 'ended';
    default:
      throw new Error(`Filling pages failed: errno ${noted < 0 ? -noted : error}`);
  }
}
