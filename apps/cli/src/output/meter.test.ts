import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import { createMeter } from './meter.ts';

function openMeter(
  options: { isTTY?: boolean; quiet?: boolean; isNever?: boolean; columns?: number; totalBytes?: number } = {},
) {
  const { isTTY = true, columns = 80, isNever = false, ...rest } = options;
  const texts: string[] = [];
  const write = (text: string | Uint8Array): boolean => texts.push(String(text)) > 0;
  const clock = { now: 1000 };
  const meter = createMeter('copy', { ...rest, isNever, now: () => clock.now, output: { isTTY, columns, write } });
  return { meter, clock, texts, lines: () => texts.map((text) => stripVTControlCharacters(text).replace('\r', '')) };
}

test('a transfer of known size has a bar, and disposing clears the line', () => {
  const { meter, clock, lines, texts } = openMeter({ totalBytes: 4_000_000 });
  clock.now += 1000;
  meter.show(1_000_000, '2 files');
  meter.show(1_100_000);
  clock.now += 1000;
  meter.show(5_000_000);
  expect(lines()).toEqual([
    'copy [#####...............]  25% 1.0 MB  1.0 MB/s  2 files  1 s',
    'copy [####################] 100% 5.0 MB  2.5 MB/s  2 s',
  ]);
  meter[Symbol.dispose]();
  expect(texts.at(-1)).toBe('\r\x1b[2K');
});

test('a line fits the window', () => {
  const { meter, clock, lines } = openMeter({ columns: 20 });
  clock.now += 1000;
  meter.show(1_000_000, 'many files '.repeat(10));
  expect(lines()[0]).toHaveLength(19);
});

test.each([[{ isTTY: false }], [{ quiet: true }], [{ isNever: true }]])('nothing is shown with %j', (options) => {
  const { meter, clock, texts } = openMeter(options);
  clock.now += 1000;
  meter.show(1000);
  meter[Symbol.dispose]();
  expect(texts).toEqual([]);
});
