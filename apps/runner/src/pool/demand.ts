/** Creates within this long of each other are one burst. */
const burstMs = 10_000;
/** One create says nothing: many snapshots are used once. */
const leastUses = 2;

export interface DemandOptions {
  /** Use that is older than this does not count. */
  readonly idleMs: number;
  /** Spares that are never exceeded. */
  readonly maxSpares: number;
}

/** How many spares the use of a blueprint asks for: as many as its largest burst of late has taken. */
export interface Demand {
  /** A create has taken one. */
  note(nowMs: number): void;
  /** 0 for what was used once only, or not for `idleMs`. */
  wanted(nowMs: number): number;
}

export function createDemand({ idleMs, maxSpares }: DemandOptions): Demand {
  let burst: number[] = [];
  let uses = 0;
  let usedAtMs = -Infinity;
  let peak = 0;
  let peakAtMs = -Infinity;
  return {
    note(nowMs) {
      if (nowMs - usedAtMs >= idleMs) uses = 0;
      uses++;
      usedAtMs = nowMs;
      // More of them would not change the answer.
      burst = [...burst.filter((takenAtMs) => nowMs - takenAtMs < burstMs), nowMs].slice(-maxSpares);
      if (burst.length < peak && nowMs - peakAtMs < idleMs) return;
      [peak, peakAtMs] = [burst.length, nowMs];
    },
    wanted(nowMs) {
      return uses < leastUses || nowMs - usedAtMs >= idleMs ? 0 : Math.min(peak, maxSpares);
    },
  };
}
