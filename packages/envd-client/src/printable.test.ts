import { expect, test } from 'vitest';
import { printable } from './printable.ts';

test.each([
  ['plain ü 世界\n\tx', 'plain ü 世界\n\tx'],
  ['\u001b[2Jgone\u0007', '·[2Jgone·'],
  ['\r\0\u009b31m', '···31m'],
  ['a\u202eb', 'a·b'],
])('%j is shown as %j', (text, shown) => {
  expect(printable(text)).toBe(shown);
});
