import { SoulBoxError } from '@soulbox/base';
import type { DiskBudget } from './budget.ts';

const mib = 2 ** 20;
/** The amount that such work can write between two checks of the disk. */
const marginBytes = 256 * mib;
const lookMs = 200;

/** The part of the budget that such work uses. */
export type HostRoom = Pick<DiskBudget, 'admit' | 'figures'>;

/**
 * Runs work of the host for a tenant that writes to the same disk: fetching an image, making a template. The work does
 * not start without room. Its signal aborts before it uses space that is promised to sandboxes, or the reserve. Throws
 * `disk_full`, whose message begins with `what`.
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
    // A program that was stopped reports how it ended, not why.
    full.signal.throwIfAborted();
    throw error;
  } finally {
    clearInterval(timer);
  }
}
