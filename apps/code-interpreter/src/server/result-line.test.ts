import { expect, test } from 'vitest';
import { asciiJson } from './ascii-json.ts';
import { resultLine } from './result-line.ts';

test('MIME types get their names, and what has none goes under extra', () => {
  const bundle = { 'text/plain': 't', 'text/html': 'h', 'image/png': 'aW\n1n', 'e2b/data': { a: [1] }, 'x/y': 'z' };
  expect(resultLine(bundle, true)).toEqual({
    type: 'result',
    text: 't',
    html: 'h',
    png: 'aW1n',
    data: { a: [1] },
    extra: { 'x/y': 'z' },
    is_main_result: true,
  });
});

test.each([
  [`'text'`, 'text'],
  [`"it's"`, "it's"],
  [`''`, ''],
  [`'`, `'`],
  [`'a"`, `'a"`],
  [`''a''`, `'a'`],
  [`'a' + 'b'`, `a' + 'b`],
])('one pair of quotes around a text is taken off: %s', (text, expected) => {
  expect(resultLine({ 'text/plain': text }, false)).toMatchObject({ text: expected });
});

test('JSON is ASCII, and the same value', () => {
  const value = { text: 'Grüße, 世界 🚀\u007f\u2028' };
  const json = asciiJson(value);
  expect(json).toMatch(/^[ -~]*$/);
  expect(JSON.parse(json)).toEqual(value);
});
