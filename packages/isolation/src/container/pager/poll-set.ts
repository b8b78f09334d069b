import { constants } from 'node:os';
import { poll, pollIn } from '@soulbox/linux/descriptors';
import { check, lastErrno } from '@soulbox/linux/libc';

const entryBytes = 8;

/** Waits until one of `fds` has data to read, at most `timeoutMs` (-1: without limit). Returns those that have. */
export function waitReadable(fds: readonly number[], timeoutMs: number): number[] {
  const entries = Buffer.alloc(entryBytes * fds.length);
  fds.forEach((fd, index) => {
    entries.writeInt32LE(fd, index * entryBytes);
    entries.writeInt16LE(pollIn, index * entryBytes + 4);
  });
  const ready = poll(entries, fds.length, timeoutMs);
  if (ready < 0 && lastErrno() === constants.errno.EINTR) return [];
  check('poll', ready);
  return fds.filter((_, index) => entries.readInt16LE(index * entryBytes + 6) !== 0);
}
