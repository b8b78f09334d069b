/** @module-tag violation */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { criuImage, field, nested } from '../../testing/criu-image.ts';
import { integerOf, parseMessage, splitImage, varint } from './image-file.ts';

const split = (bytes: Buffer): string[] =>
  splitImage(bytes, 'pagemap', 'p.img').map((message) => message.toString('hex'));

describe('an image', () => {
  test('is split into its messages, and a message may be empty', () => {
    expect(split(criuImage('pagemap', [1, 2, 3], [], [4]))).toEqual(['010203', '', '04']);
    expect(split(criuImage('pagemap', [1], []))).toEqual(['01', '']);
    expect(split(criuImage('pagemap'))).toEqual([]);
  });

  test('of another kind, or of none, is refused', () => {
    expect(() => split(criuImage('mm', [1]))).toThrow('p.img is not a pagemap image');
    const ofAnotherProgram = criuImage('pagemap', [1]);
    ofAnotherProgram.writeUInt32LE(0, 0);
    expect(() => split(ofAnotherProgram)).toThrow('p.img is not a pagemap image');
    for (const length of [0, 4, 7])
      expect(() => split(criuImage('pagemap').subarray(0, length))).toThrow('not a pagemap image');
  });

  test('truncated anywhere but between two messages is refused', () => {
    const image = criuImage('pagemap', [1, 2, 3], [4]);
    const wholeAt = [8, 15, 20];
    for (let length = 8; length <= image.length; length += 1) {
      const part = image.subarray(0, length);
      if (wholeAt.includes(length)) expect(split(part), String(length)).toHaveLength(wholeAt.indexOf(length));
      else expect(() => split(part), String(length)).toThrow('p.img ends within a message');
    }
  });
});

describe('a message', () => {
  test('has its values by field, in their order, whatever is between them', () => {
    const fixed = [7 * 8 + 1, ...Array<number>(8).fill(9), 8 * 8 + 5, 6, 6, 6, 6];
    const bytes = [...field(1, 300), ...nested(2, [1, 2]), ...field(1, 0), ...fixed, ...field(20, 1)];
    expect(parseMessage(Uint8Array.from(bytes))).toEqual(
      new Map<number, (number | Uint8Array)[]>([
        [1, [300, 0]],
        [2, [Uint8Array.of(1, 2)]],
        [7, [Uint8Array.from(Array<number>(8).fill(9))]],
        [8, [Uint8Array.of(6, 6, 6, 6)]],
        [20, [1]],
      ]),
    );
  });

  test('returns the last value of a repeated number, and the default for a missing one', () => {
    const message = parseMessage(Uint8Array.from([...field(1, 5), ...field(1, 6), ...nested(2, [1])]));
    expect(integerOf(message, 1, 9)).toBe(6);
    expect(integerOf(message, 2, 9)).toBe(9);
    expect(integerOf(message, 3, 9)).toBe(9);
  });

  test.each([
    ['a number', [0x08, 0xff]],
    ['a field', [0x12, 5, 1]],
    ['a number of 64 bits', [0x09, 1, 2, 3, 4, 5, 6, 7]],
    ['a number of 32 bits', [0x0d, 1, 2, 3]],
  ])('that ends within %s is refused', (_, bytes) => {
    expect(() => parseMessage(Uint8Array.from(bytes))).toThrow('ends within');
  });

  test.each([3, 4, 6, 7])('with the wire type %i is refused', (wireType) => {
    expect(() => parseMessage(Uint8Array.from([8 + wireType]))).toThrow(`wire type ${wireType}`);
  });
});

test('an encoded number is decoded to the same one, up to the largest address', () => {
  // The example of protobuf.dev/programming-guides/encoding, and values at byte boundaries.
  expect(varint(150)).toEqual([0x96, 0x01]);
  expect([varint(0), varint(127), varint(128)]).toEqual([[0], [0x7f], [0x80, 0x01]]);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 47 }), (value) => {
      expect(integerOf(parseMessage(Uint8Array.from([0x08, ...varint(value)])), 1, -1)).toBe(value);
    }),
  );
});
