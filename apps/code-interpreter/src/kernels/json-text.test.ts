/** @module-tag violation */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { membersOf } from './json-text.ts';

test('gives the text of each member exactly as written', () => {
  const text = ' { "a" : 1.0 ,"b":12345678901234567890, "c": [1e2, {"d": -0.0}], "e\\"\\\\": "x}],\\\\" , "f":{} } ';
  expect(membersOf(text)).toEqual([
    ['a', '1.0'],
    ['b', '12345678901234567890'],
    ['c', '[1e2, {"d": -0.0}]'],
    ['e"\\', '"x}],\\\\"'],
    ['f', '{}'],
  ]);
});

test('keeps the order of numeric names, and a name that plain objects cannot hold', () => {
  expect(membersOf('{"2":0,"1":0,"__proto__":0}').map(([name]) => name)).toEqual(['2', '1', '__proto__']);
});

test.each(['[1]', '1', '"a"', 'null', '{}', ' {} '])('%s has no members', (text) => {
  expect(membersOf(text)).toEqual([]);
});

test('the members are those of JSON.parse for any value', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(undefined, 1, '\t'), (value, space) => {
      const text = JSON.stringify(value, null, space);
      const parsed = membersOf(text).map(([name, member]) => [name, JSON.parse(member)] as const);
      expect(JSON.stringify(Object.fromEntries(parsed))).toBe(JSON.stringify(JSON.parse(text)));
    }),
  );
});
