import { expect, test } from 'vitest';
import { chooseEncoding } from './choose-encoding.ts';

test.each([
  [undefined, 'identity'],
  ['', 'identity'],
  ['gzip', 'gzip'],
  ['gzip, deflate', 'identity'],
  ['gzip, deflate;q=0.5', 'gzip'],
  ['br, gzip, deflate', 'identity'],
  ['br;q=0.5, gzip', 'gzip'],
  ['identity, gzip;q=0.5', 'identity'],
  ['identity;q=0, gzip;q=0.1', 'gzip'],
  ['identity;q=0, *', 'gzip'],
  ['*', 'identity'],
  ['br', 'identity'],
  ['gzip;q=0', 'identity'],
  ['gzip;q=nonsense', 'identity'],
])('%s gets %s', (header, encoding) => {
  expect(chooseEncoding(header)).toBe(encoding);
});

test.each(['identity;q=0', '*;q=0', 'br, identity;q=0', 'gzip;q=0, *;q=0'])(
  'no encoding is acceptable for %s',
  (header) => {
    expect(chooseEncoding(header)).toBeUndefined();
  },
);
