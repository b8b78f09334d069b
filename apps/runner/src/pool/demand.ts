/** Creates within this time form one burst. */
const burstMs = 10_000;
/** A single create does not count: many snapshots are used only once. */
const leastUses = 2;

export interface DemandOptions {
  /** Older uses do not count. */
  readonly idleMs: number;
  /** The highest number of spares. */
  readonly maxSpares: number;
}

/** The number of spares that a blueprint should have: the size of its largest recent burst. */
export interface Demand {
  /** A create has taken one. */
  note(nowMs: number): void;
  /** 0 for a blueprint that was used only once, or not for `idleMs`. */
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
      // More of them would not change the result.
      burst = [...burst.filter((takenAtMs) => nowMs - takenAtMs < burstMs), nowMs].slice(-maxSpares);
      if (burst.length < peak && nowMs - peakAtMs < idleMs) return;
      [peak, peakAtMs] = [burst.length, nowMs];
    },
    wanted(nowMs) {
      return uses < leastUses || nowMs - usedAtMs >= idleMs ? 0 : Math.min(peak, maxSpares);
    },
  };
}
