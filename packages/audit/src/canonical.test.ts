/** @module-tag violation */
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalText } from './canonical.ts';
import type { Canonical } from './canonical.ts';

const { value: values } = fc.letrec<{ value: Exclude<Canonical, undefined> }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.string({ unit: 'grapheme' }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.dictionary(fc.string({ unit: 'binary' }), tie('value'), { noNullPrototype: true }),
  ),
}));

test('is what another implementation of RFC 8785 writes', () => {
  fc.assert(
    fc.property(values, (value) => {
      expect(canonicalText(value)).toBe(canonicalize(value));
    }),
    { numRuns: 500 },
  );
});

test.each([
  [{ b: 1, a: undefined, ä: { z: true, y: 'x' } }, '{"b":1,"ä":{"y":"x","z":true}}'],
  [{}, '{}'],
  ['\u2028"\\\n\u0001', '"\u2028\\"\\\\\\n\\u0001"'],
  [1e21, '1e+21'],
  [-0, '0'],
])('%j is %s', (value, text) => {
  expect(canonicalText(value)).toBe(text);
});

test('does not depend on the order of members', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string({ unit: 'binary' }).filter((name) => name.isWellFormed())), (names) => {
      const members = (order: readonly string[]) => Object.fromEntries(order.map((name) => [name, name.length]));
      const inner = canonicalText(members(names));
      expect(canonicalText(members(names.toReversed()))).toBe(inner);
      expect(canonicalText(members(names.toSorted()))).toBe(inner);
      expect(canonicalText({ a: members(names) })).toBe(`{"a":${inner}}`);
    }),
  );
});

test.each([[NaN], [Infinity], ['\ud800'], [{ '\udc00': 1 }]])('%j is refused', (value) => {
  expect(() => canonicalText(value)).toThrow(RangeError);
});
