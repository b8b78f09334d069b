import { expect, test } from 'vitest';
import { asciiJson } from './ascii-json.ts';
import { resultLine } from './result-line.ts';

test('known MIME types get their wire names, and the others are under extra', () => {
  const data = { json: '{"a":[1]}' };
  const bundle = [
    ...([
      ['text/plain', 't'],
      ['text/html', 'h'],
      ['image/png', 'aW\n1n'],
      ['e2b/data', data],
    ] as const),
    ...([
      ['x/y', 'z'],
      ['__proto__', { json: '1' }],
    ] as const),
  ];
  expect(JSON.parse(resultLine(bundle, true))).toEqual({
    type: 'result',
    text: 't',
    html: 'h',
    png: 'aW1n',
    data: { a: [1] },
    extra: { 'x/y': 'z', ['__proto__']: 1 },
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
])('one pair of quotes around a text is removed: %s', (text, expected) => {
  expect(JSON.parse(resultLine([['text/plain', text]], false))).toMatchObject({ text: expected });
});

test('the line contains JSON exactly as the kernel wrote it', () => {
  const json = '{"2": [1.0, -0.0, 1e400, 12345678901234567890], "1": 0.10}';
  expect(
    resultLine(
      [
        ['e2b/data', { json }],
        ['x/n', { json: '1.0' }],
      ],
      true,
    ),
  ).toBe(`{"type":"result","data":${json},"extra":{"x/n":1.0},"is_main_result":true}`);
});

test('the line is one line of ASCII, whatever whitespace the kernel wrote', () => {
  const line = resultLine([['application/json', { json: '{\r\n  "ü": "\u2028\\n"\n}' }]], false);
  expect(line).toMatch(/^[ -~]*$/);
  expect(JSON.parse(line)).toMatchObject({ json: { ü: '\u2028\n' } });
});

test('JSON is ASCII and has the same value', () => {
  const value = { text: 'Grüße, 世界 🚀\u007f\u2028' };
  const json = asciiJson(value);
  expect(json).toMatch(/^[ -~]*$/);
  expect(JSON.parse(json)).toEqual(value);
});
