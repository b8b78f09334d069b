import type { ApiContext } from '../context.ts';

/** Points in one response. */
const pointsMax = 100;
/** Minimum distance between points. Milliseconds. */
const stepMinMs = 5000;
/** Limit of counted sandboxes. A team with more in the span gets the figures of the oldest. */
const livesMax = 100_000;

export interface TeamPoint {
  /** Unix milliseconds. */
  readonly atMs: number;
  readonly concurrent: number;
  /** Average over the step that ends at `atMs`. */
  readonly startsPerSecond: number;
}

/** The number of running sandboxes and the rate of starts, at even steps from `startMs` to `endMs`. */
export async function teamMetrics(
  context: ApiContext,
  teamId: string,
  startMs: number,
  endMs: number,
): Promise<TeamPoint[]> {
  const stepMs = Math.max(stepMinMs, Math.ceil((endMs - startMs) / pointsMax));
  const count = Math.floor((endMs - startMs) / stepMs) + 1;
  const lives = await context.records.sandboxes.listLives(teamId, startMs - stepMs, endMs, livesMax);
  // Changes are summed point by point, so the work is lives + points and not their product.
  const begun = new Array<number>(count + 1).fill(0);
  const ended = new Array<number>(count + 1).fill(0);
  const pointAtOrAfter = (ms: number): number => Math.min(count, Math.max(0, Math.ceil((ms - startMs) / stepMs)));
  let before = 0;
  for (const { startedAt, endedAt } of lives) {
    if (startedAt <= startMs - stepMs) before += 1;
    else increment(begun, pointAtOrAfter(startedAt));
    if (endedAt !== undefined) increment(ended, pointAtOrAfter(endedAt));
  }
  let concurrent = before;
  return Array.from({ length: count }, (_, index) => {
    concurrent += (begun[index] ?? 0) - (ended[index] ?? 0);
    const startsPerSecond = ((begun[index] ?? 0) * 1000) / stepMs;
    return { atMs: startMs + index * stepMs, concurrent, startsPerSecond };
  });
}

function increment(counts: number[], index: number): void {
  counts[index] = (counts[index] ?? 0) + 1;
}
