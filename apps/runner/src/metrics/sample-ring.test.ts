import { describe, expect, it } from 'vitest';
import { createSampleRing, sampleFields } from './sample-ring.ts';
import type { Sample } from './sample-ring.ts';

function sampleAt(atMs: number): Sample {
  const values = sampleFields.map((name, column) => [name, name === 'atMs' ? atMs : column * 1e12 + atMs]);
  return Object.fromEntries(values) as Sample;
}

describe('a ring of samples', () => {
  it('is empty at first', () => {
    const ring = createSampleRing(10);
    expect(ring.range(0, Infinity)).toEqual([]);
  });

  it('returns every figure unchanged, also after it has grown', () => {
    const ring = createSampleRing(1000);
    for (let at = 0; at < 500; at++) ring.push(sampleAt(at));
    expect(ring.range(0, Infinity).at(-1)).toEqual(sampleAt(499));
    expect(ring.range(10, 12)).toEqual([10, 11, 12].map(sampleAt));
    expect(ring.range(0, Infinity)).toHaveLength(500);
  });

  it('keeps the newest samples in order when it is full, also if its capacity is not a power of two', () => {
    for (const capacity of [1, 3, 64, 100]) {
      const ring = createSampleRing(capacity);
      for (let at = 0; at < 1007; at++) ring.push(sampleAt(at));
      const kept = ring.range(0, Infinity).map((sample) => sample.atMs);
      expect(kept).toEqual(Array.from({ length: capacity }, (_, index) => 1007 - capacity + index));
    }
  });
});
