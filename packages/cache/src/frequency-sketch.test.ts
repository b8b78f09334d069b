import { expect, test } from 'vitest';
import { createFrequencySketch } from './frequency-sketch.ts';

test('an estimate is never below the real number, up to 15', () => {
  const sketch = createFrequencySketch(1024);
  for (let key = 0; key < 300; key++) for (let use = 0; use <= key % 20; use++) sketch.note(`key ${key}`);
  for (let key = 0; key < 300; key++)
    expect(sketch.estimate(`key ${key}`)).toBeGreaterThanOrEqual(Math.min(15, (key % 20) + 1));
});

test('most keys that were never used have an estimate of 0', () => {
  const sketch = createFrequencySketch(1024);
  for (let key = 0; key < 500; key++) sketch.note(`used ${key}`);
  const unknown = Array.from({ length: 1000 }, (_, key) => sketch.estimate(`other ${key}`));
  expect(unknown.filter((estimate) => estimate > 0).length).toBeLessThan(50);
});

test('what was hot is forgotten while other keys are used', () => {
  const sketch = createFrequencySketch(16);
  for (let use = 0; use < 15; use++) sketch.note('hot');
  expect(sketch.estimate('hot')).toBe(15);
  // Each 160 uses halve all counters.
  for (let use = 0; use < 1000; use++) sketch.note('other');
  expect(sketch.estimate('hot')).toBeLessThan(4);
  expect(sketch.estimate('other')).toBeGreaterThanOrEqual(7);
});
