import { expect, test } from 'vitest';
import { imageSizeBytes } from './disk.ts';

test('an image is a 64th larger than the disk it offers, in whole blocks', () => {
  expect(imageSizeBytes(1024)).toBe(1040 * 1024 * 1024);
  for (const size of [1, 10, 333, 10_240]) expect(imageSizeBytes(size) % 4096).toBe(0);
});
