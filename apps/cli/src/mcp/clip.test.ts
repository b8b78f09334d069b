/** @module-tag violation */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createClip } from './clip.ts';

test('an output within the limit is kept as it is, and of a longer one the beginning and the end', () => {
  fc.assert(
    fc.property(
      fc.array(fc.stringMatching(/^[a-z]{0,40}$/), { maxLength: 30 }),
      fc.integer({ min: 2, max: 300 }),
      (pieces, maxBytes) => {
        const clip = createClip(maxBytes);
        for (const piece of pieces) clip.add(Buffer.from(piece));
        const whole = pieces.join('');
        const half = Math.floor(maxBytes / 2);
        const omitted = Math.max(whole.length - 2 * half, 0);
        expect(clip.omitted()).toBe(omitted);
        const end = whole.slice(whole.length - half);
        expect(clip.text()).toBe(
          omitted === 0 ? whole : `${whole.slice(0, half)}\n[${omitted} bytes left out]\n${end}`,
        );
      },
    ),
  );
});

test('memory does not grow with the output', () => {
  const clip = createClip(1024);
  const piece = Buffer.alloc(1 << 20, 'x');
  const before = process.memoryUsage().arrayBuffers;
  for (let count = 0; count < 64; count++) clip.add(piece);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
  expect(clip.omitted()).toBe(64 * (1 << 20) - 1024);
});
