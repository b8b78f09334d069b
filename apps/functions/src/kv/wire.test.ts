import { describe, expect, test } from 'vitest';
import { bytesFromHeader, expiryFromQuery, keyFromPath, metadataFromHeader } from './wire.ts';

const refusal = expect.objectContaining({ reason: 'bad_request' }) as Error;

test.each([
  ['/a', 'a'],
  ['/a%2Fb%20%C3%A9', 'a/b é'],
  ['/%3F%23%25', '?#%'],
  ['/...', '...'],
  [`/${'k'.repeat(512)}`, 'k'.repeat(512)],
])('%s is a valid key', (path, key) => {
  expect(keyFromPath(path)).toBe(key);
});

test.each(['/', '/.', '/..', '/%2E%2E', '/%', '/%FF', '/%00', `/${'k'.repeat(513)}`, `/${'%C3%A9'.repeat(257)}`])(
  '%s is not a key',
  (path) => {
    expect(() => keyFromPath(path)).toThrow(refusal);
  },
);

describe('the expiry of a value', () => {
  const expiry = (text: string) => expiryFromQuery(new URLSearchParams(text), 1_000_000);
  test('is given as a time to live or as a point in time', () => {
    expect(expiry('')).toBeUndefined();
    expect(expiry('expiration_ttl=60')).toBe(1_060_000);
    expect(expiry('expiration=2000')).toBe(2_000_000);
    expect(expiry('expiration=2000&expiration_ttl=100')).toBe(1_100_000);
  });
  test.each([
    'expiration_ttl=59',
    'expiration=1059',
    'expiration_ttl=-1',
    'expiration_ttl=1e9',
    'expiration=x',
    'expiration_ttl=',
  ])('is not %s', (text) => {
    expect(() => expiry(text)).toThrow(refusal);
  });
});

test('metadata is JSON of limited size', () => {
  expect(metadataFromHeader(undefined)).toBeUndefined();
  expect(metadataFromHeader('{ "a": [1] }')).toBe('{"a":[1]}');
  expect(() => metadataFromHeader('{a}')).toThrow(refusal);
  expect(() => metadataFromHeader(JSON.stringify('x'.repeat(1023)))).toThrow(refusal);
});

test.each([
  ['0', 0],
  ['25', 25],
  [undefined, Infinity],
  ['', Infinity],
  ['-5', Infinity],
  ['1e3', Infinity],
  ['NaN', Infinity],
  ['9'.repeat(30), Infinity],
])('a body announced as %j may have %d bytes', (header, bytes) => {
  expect(bytesFromHeader(header)).toBe(bytes);
});
