/** How often keys were used lately, in constant memory. Estimates are never too low, and saturate at 15. */
export interface FrequencySketch {
  note(key: string): void;
  /** 0 to 15. */
  estimate(key: string): number;
}

const rows = 4;
const counterMax = 15;

/**
 * A count-min sketch whose counters are halved after `10 * width` uses, so that what was hot once does not stay so: the
 * admission policy of TinyLFU (Einziger, Friedman, Manes: "TinyLFU: A Highly Efficient Cache Admission Policy", 2017).
 * `width` is about the number of keys that matter; it is rounded up to a power of two, and costs four bytes each.
 */
export function createFrequencySketch(width = 4096): FrequencySketch {
  const columns = 2 ** Math.ceil(Math.log2(Math.max(16, width)));
  const counters = new Uint8Array(rows * columns);
  const ageAfter = 10 * columns;
  let uses = 0;
  const placesOf = (key: string): number[] => {
    const [first, second] = hashes(key);
    // Two hashes make as many as are needed (Kirsch and Mitzenmacher, 2006).
    return Array.from(
      { length: rows },
      (_, row) => row * columns + (((first + Math.imul(row, second)) >>> 0) & (columns - 1)),
    );
  };
  const estimate = (places: readonly number[]): number => Math.min(...places.map((place) => counters[place] ?? 0));
  return {
    note(key) {
      const places = placesOf(key);
      const least = estimate(places);
      // Only the lowest counters grow: others are too high already.
      if (least < counterMax) for (const place of places) if (counters[place] === least) counters[place] = least + 1;
      uses += 1;
      if (uses < ageAfter) return;
      uses = Math.floor(uses / 2);
      for (let place = 0; place < counters.length; place++) counters[place] = (counters[place] ?? 0) >>> 1;
    },
    estimate: (key) => estimate(placesOf(key)),
  };
}

/** FNV-1a, and its result mixed once more (the finalizer of MurmurHash3). */
function hashes(key: string): readonly [number, number] {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  let mixed = hash;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  // Odd, so that rows differ.
  return [mixed >>> 0, (hash ^ (mixed >>> 16)) | 1];
}
