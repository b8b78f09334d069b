import { CommandError } from './run.ts';

/** A cause has a cause; nobody makes more of them than this. */
const depthMax = 8;
const noRoomCodes: readonly unknown[] = ['ENOSPC', 'EDQUOT'];

/**
 * Whether it, or what caused it, is that a disk has no room (or a quota none) left: an errno, an error of
 * ours, or the word of a program.
 */
export function isDiskFull(thrown: unknown): boolean {
  let error = thrown;
  for (let depth = 0; depth < depthMax && error instanceof Error; depth += 1) {
    if ((error as { reason?: unknown }).reason === 'disk_full') return true;
    if (noRoomCodes.includes((error as NodeJS.ErrnoException).code)) return true;
    if (error instanceof CommandError && /No space left on device|Disk quota exceeded/.test(error.stderr)) return true;
    if (error instanceof AggregateError && error.errors.some(isDiskFull)) return true;
    error = error.cause;
  }
  return false;
}
