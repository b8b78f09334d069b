import { CommandError } from './run.ts';

/** The longest chain of causes that is followed. Real chains are shorter. */
const depthMax = 8;
const noRoomCodes: readonly unknown[] = ['ENOSPC', 'EDQUOT'];

/**
 * Whether the error or one of its causes is a full disk or an exhausted quota: an errno, one of our own errors, or the
 * error output of a program.
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
