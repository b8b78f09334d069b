/** Numbers from a seed, so that the decisions of a run can be repeated. mulberry32, public domain. */
export interface Random {
  /** From `min` to less than `max`. */
  between(min: number, max: number): number;
  /** True in `share` (0 to 1) of the calls. */
  chance(share: number): boolean;
}

export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    between: (min, max) => min + next() * (max - min),
    chance: (share) => next() < share,
  };
}
