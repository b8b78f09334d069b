import { expect, test } from 'vitest';
import { integerOf, parseMessage, splitImage, varint } from '../pager/image-file.ts';
import { markLargeMappings } from './large-mappings.ts';

const [small, large] = [2 ** 20, 2 ** 42];
const [shared, privately, unreserved] = [0x21, 0x22, 0x4022];

function mapping(start: number, bytes: number, flags: number): number[] {
  const fields = [start, start + bytes, 0, 0, 3, flags, 0x209];
  const message = fields.flatMap((value, index) => [(index + 1) << 3, ...varint(value)]);
  return [(14 << 3) | 2, ...varint(message.length), ...message];
}

function image(...mappings: number[][]): Buffer {
  const message = [1 << 3, 1, ...mappings.flat(), 15 << 3, 1];
  const header = Buffer.alloc(12);
  header.writeUInt32LE(0x54564319, 0);
  header.writeUInt32LE(0x57492820, 4);
  header.writeUInt32LE(message.length, 8);
  return Buffer.concat([header, Buffer.from(message)]);
}

/** Flags of each mapping in it. */
function flagsOf(bytes: Buffer): number[] {
  const memory = parseMessage(splitImage(bytes, 'mm', 'test')[0] ?? Buffer.alloc(0));
  expect(integerOf(memory, 15, 0)).toBe(1);
  return (memory.get(14) ?? []).map((each) => integerOf(parseMessage(each as Uint8Array), 6, 0));
}

test('large private mappings get the mark, all else stays', () => {
  const mappings: [number, number][] = [
    [small, privately],
    [large, privately],
    [large, shared],
    [large, unreserved],
    [large, privately],
  ];
  const saved = image(...mappings.map(([bytes, flags], index) => mapping(index * 2 ** 43, bytes, flags)));
  const marked = markLargeMappings(saved, 'test');
  expect(flagsOf(saved)).toEqual([privately, privately, shared, unreserved, privately]);
  expect(flagsOf(marked)).toEqual([privately, unreserved, shared, unreserved, unreserved]);
  expect(markLargeMappings(marked, 'test')).toBe(marked);
});

test('an image without large mappings is left alone', () => {
  const saved = image(mapping(4096, small, privately));
  expect(markLargeMappings(saved, 'test')).toBe(saved);
});

test.each([0, 7, 11, 40])('an image cut after %i bytes is refused', (length) => {
  const saved = image(mapping(4096, large, privately), mapping(2 ** 43, large, privately)).subarray(0, length);
  expect(() => markLargeMappings(saved, 'test')).toThrow();
});
