/** @module-tag violation */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { spendLine, splitLines } from './output-lines.ts';

describe('lines of output', () => {
  it.each([
    ['a\nb', ['a'], 'b'],
    ['a\n', ['a'], ''],
    ['a\r\nb\r', ['a'], 'b\r'],
    ['\n\n', ['', ''], ''],
    ['', [], ''],
    ['abcdefg\nh', ['abc', 'def', 'g'], 'h'],
    ['abcdefg', ['abc', 'def'], 'g'],
    ['abc', [], 'abc'],
    ['abcdef', ['abc'], 'def'],
  ])('of %j are %j, with %j unfinished', (text, lines, rest) => {
    expect(splitLines(text, 3)).toEqual({ lines, rest });
  });

  it('lose nothing except line ends, and none is longer than the limit', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[ab\n]*$/), fc.integer({ min: 1, max: 5 }), (text, maxLength) => {
        const { lines, rest } = splitLines(text, maxLength);
        expect([...lines, rest].join('')).toBe(text.replaceAll('\n', ''));
        for (const line of [...lines, rest]) expect(line.length).toBeLessThanOrEqual(maxLength);
      }),
    );
  });
});

describe('a budget', () => {
  it('is reduced by the text of a line and a fixed cost for each entry', () => {
    const budget = { bytes: 1000, lines: 2 };
    expect(spendLine(50, [budget])).toBe(true);
    expect(budget).toEqual({ bytes: 850, lines: 1 });
  });

  it.each([
    ['bytes', { bytes: 149, lines: 2 }],
    ['lines', { bytes: 1000, lines: 0 }],
  ])('without enough %s takes no line, and the other budgets are not reduced', (_what, small) => {
    const large = { bytes: 1000, lines: 10 };
    expect(spendLine(50, [large, small])).toBe(false);
    expect(large).toEqual({ bytes: 1000, lines: 10 });
  });
});
