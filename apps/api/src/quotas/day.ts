const dayMs = 24 * 3600 * 1000;

/** The number of the day in UTC, counted from the Unix epoch. */
export function dayOf(ms: number): number {
  return Math.floor(ms / dayMs);
}

/** Whole seconds until the next day in UTC begins, at least 1. */
export function secondsToNextDay(ms: number): number {
  return Math.max(1, Math.ceil(((dayOf(ms) + 1) * dayMs - ms) / 1000));
}
