import type { Log } from './log.ts';
import { recordOfLeaf } from './record.ts';
import { tileWidth } from './tiles.ts';

/** Forbids to prune and to erase. */
export interface LegalHold {
  /** Milliseconds since the Unix epoch. */
  readonly until: number;
}

/**
 * The index up to which the log may be pruned now: whole bundles whose records are all past their time, from the oldest
 * on. The current minimum if there is none, or while a legal hold is in force. The records decide for themselves,
 * because each was stored with the retention of its jurisdiction and class.
 */
export async function prunableTo(log: Log, now: number, holds: readonly LegalHold[]): Promise<number> {
  let to = await log.readMinimum();
  if (holds.some(({ until }) => until > now)) return to;
  while (to + tileWidth <= log.checkpoint.size) {
    const entries = await log.readEntries(to, to + tileWidth);
    if (!entries.every((entry) => recordOfLeaf(entry).retainUntil <= now)) break;
    to += tileWidth;
  }
  return to;
}
