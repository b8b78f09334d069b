import { expect, test } from 'vitest';
import { sizeOf } from './terminal.ts';

test.each([
  [
    { columns: 120, rows: 40 },
    { cols: 120, rows: 40 },
  ],
  [
    { columns: 0, rows: 0 },
    { cols: 80, rows: 24 },
  ],
  [{}, { cols: 80, rows: 24 }],
  [
    { columns: 100_000, rows: 1 },
    { cols: 65_535, rows: 1 },
  ],
  [
    { columns: -1, rows: Number.NaN },
    { cols: 80, rows: 24 },
  ],
])('a terminal of %j has the size %j', (terminal, size) => {
  expect(sizeOf(terminal)).toEqual(size);
});
