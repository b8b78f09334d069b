import { SoulBoxError } from '@soulbox/base';
import type { DiskBudget } from './budget.ts';

const mib = 2 ** 20;
/** What such work can write between two looks at the disk. */
const marginBytes = 256 * mib;
const lookMs = 200;

/** The part of the budget that such work asks. */
export type HostRoom = Pick<DiskBudget, 'admit' | 'figures'>;

/**
 * Work of the host for a tenant that writes to the same disk by itself: fetching an image, making a template. It is not begun without
 * room, and is given up before it takes what is promised to sandboxes, or the reserve: `work` gets a signal that aborts then, too.
 * Throws `disk_full`; `what` begins its message.
 */
export async function whileRoom<T>(
  disks: HostRoom,
  { what, signal }: { what: string; signal: AbortSignal },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  using _margin = disks.admit(marginBytes, what);
  const full = new AbortController();
  const timer = setInterval(() => {
    const { freeBytes, reserveBytes, committedBytes } = disks.figures();
    if (freeBytes - reserveBytes >= committedBytes) return;
    const message = `${what} was stopped because the rest of the host's disk is reserved or promised to sandboxes.`;
    full.abort(new SoulBoxError('disk_full', message));
  }, lookMs);
  try {
    return await work(AbortSignal.any([signal, full.signal]));
  } catch (error) {
    // A program that was stopped tells how it ended, not why.
    full.signal.throwIfAborted();
    throw error;
  } finally {
    clearInterval(timer);
  }
}
