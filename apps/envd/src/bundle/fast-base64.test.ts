import { base64Decode as slowDecode, base64Encode as slowEncode } from '@bufbuild/protobuf/wire';
import { expect, test } from 'vitest';
import { base64Decode, base64Encode } from './fast-base64.ts';

const samples = Array.from({ length: 70 }, (_, length) =>
  Uint8Array.from({ length }, (_value, index) => (index * 37 + length * 251) & 255),
);

test('it encodes like the original', () => {
  for (const bytes of samples) {
    for (const encoding of ['std', 'std_raw', 'url'] as const) {
      expect(base64Encode(bytes, encoding)).toBe(slowEncode(bytes, encoding));
    }
  }
});

test('it decodes all forms like the original', () => {
  for (const bytes of samples) {
    for (const encoding of ['std', 'std_raw', 'url'] as const) {
      const text = slowEncode(bytes, encoding);
      expect(Uint8Array.from(base64Decode(text))).toEqual(Uint8Array.from(bytes));
      expect(Uint8Array.from(base64Decode(text))).toEqual(Uint8Array.from(slowDecode(text)));
    }
  }
});

test.each(['a*b=', '====', 'é', 'ab\0c'])('%j is rejected', (text) => {
  expect(() => base64Decode(text)).toThrow('invalid base64');
});

test('white space is ignored', () => {
  expect(Buffer.from(base64Decode('aGVs\nbG8=\n')).toString()).toBe('hello');
});
