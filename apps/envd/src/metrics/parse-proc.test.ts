import { expect, test } from 'vitest';
import { parseMemory, parseProcessorTicks } from './parse-proc.ts';

test('the ticks of all processors are summed, with guest time counted once', () => {
  expect(parseProcessorTicks('cpu  10 1 5 80 4 0 0 0 7 7\ncpu0 1 1 1 1\n')).toEqual({ idle: 84, total: 100 });
});

test('memory is given in bytes', () => {
  const text =
    'MemTotal:  100 kB\nMemFree: 1 kB\nMemAvailable:   60 kB\nBuffers: 1 kB\nCached:  20 kB\nSReclaimable: 2 kB\n';
  expect(parseMemory(text)).toEqual({ totalBytes: 102_400, usedBytes: 40_960, cacheBytes: 23_552 });
});

test('files without data give zeros', () => {
  expect(parseProcessorTicks('')).toEqual({ idle: 0, total: 0 });
  expect(parseMemory('')).toEqual({ totalBytes: 0, usedBytes: 0, cacheBytes: 0 });
});
