/** The nearest whole number from 0 to 2^53 - 1; 0 for what is no number. It can always be sent as a `uint64`. */
export function nearestCount(value: number): number {
  return Math.trunc(Math.min(Math.max(value, 0) || 0, Number.MAX_SAFE_INTEGER));
}
