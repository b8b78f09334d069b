/** @module-tag violation */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMessageCutter, heldMessageMaxBytes } from './message-cutter.ts';

const message = (length: number, flags = 0): Buffer => {
  const bytes = Buffer.alloc(5 + length, 'x');
  bytes.writeUInt8(flags, 0);
  bytes.writeUInt32BE(length, 1);
  return bytes;
};
const joined = (pieces: readonly Uint8Array[]): Buffer => Buffer.concat(pieces);

test('complete messages are passed on, and the beginning of the next one waits for its end', () => {
  const cutter = createMessageCutter();
  const bytes = joined([message(3), message(0), message(10)]);
  expect(joined(cutter.take(bytes.subarray(0, 20)))).toEqual(bytes.subarray(0, 13));
  expect(cutter.isBetween()).toBe(true);
  expect(cutter.heldBytes()).toBe(15);
  expect(joined(cutter.take(bytes.subarray(20)))).toEqual(bytes.subarray(13));
  expect(cutter.heldBytes()).toBe(0);
});

test('a message too long to be held is passed on as it arrives, and isBetween is false meanwhile', () => {
  const cutter = createMessageCutter();
  const long = message(heldMessageMaxBytes + 1);
  expect(joined(cutter.take(long.subarray(0, 100)))).toEqual(long.subarray(0, 100));
  expect(cutter.isBetween()).toBe(false);
  expect(joined(cutter.take(joined([long.subarray(100), message(1).subarray(0, 3)])))).toEqual(long.subarray(100));
  expect(cutter.isBetween()).toBe(true);
});

test('a length invented by a hostile service takes no memory', () => {
  const cutter = createMessageCutter();
  const head = Buffer.from([0, 0xff, 0xff, 0xff, 0xff]);
  for (const byte of head) cutter.take(Buffer.from([byte]));
  expect(cutter.heldBytes()).toBe(0);
  expect(cutter.isBetween()).toBe(false);
});

test('the held rest of an answer that breaks within a message is available', () => {
  const cutter = createMessageCutter();
  cutter.take(message(9).subarray(0, 7));
  expect(cutter.rest()).toEqual(message(9).subarray(0, 7));
});

test('nothing is lost, added or changed for any chunks, and the position between messages is correct', () => {
  const lengths = fc.array(
    fc.oneof(fc.nat(40), fc.integer({ min: heldMessageMaxBytes - 2, max: heldMessageMaxBytes + 2 })),
    { maxLength: 5 },
  );
  const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 400_000 })), {
    minLength: 1,
    maxLength: 20,
  });
  fc.assert(
    fc.property(lengths, cuts, (all, sizes) => {
      const bytes = joined(all.map((length) => message(length)));
      const ends = new Set([0]);
      for (const length of all) ends.add(Math.max(...ends) + 5 + length);
      const cutter = createMessageCutter();
      const passed: Uint8Array[] = [];
      let count = 0;
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const chunk = bytes.subarray(at, at + (sizes[turn % sizes.length] ?? 1));
        at += chunk.length;
        for (const piece of cutter.take(chunk)) {
          passed.push(Buffer.from(piece));
          count += piece.length;
        }
        if (cutter.isBetween() !== ends.has(count)) throw new Error(`wrong at ${count}`);
      }
      passed.push(cutter.rest());
      return joined(passed).equals(bytes);
    }),
    { numRuns: 60 },
  );
});
