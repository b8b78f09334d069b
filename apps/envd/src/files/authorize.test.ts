import { expect, test } from 'vitest';
import { Secret } from '@soulbox/base';
import { fileSignature } from '@soulbox/contract';
import { initialSettings } from '../settings.ts';
import { authorizeFileRequest } from './authorize.ts';

const token = '0tQG31xiMp0IOQfaz9dcwi72L1CPo8e0';
const settings = { ...initialSettings, accessToken: new Secret(token) };
const now = 1_800_000_000_000;

function check(query: Record<string, string>, headers: Record<string, string> = {}): () => void {
  return () => authorizeFileRequest(settings, headers, new URLSearchParams(query), 'read', now);
}

const signature = 'v1_gUtH/s9YCJWgCizjfUxuWfhFE4QSydOWEIIvfLwDr6E';

test("E2B's published check value is accepted", () => {
  expect(check({ path: 'hello.txt', username: 'user', signature })).not.toThrow();
});

test('the right token in the header is sufficient, and a signature does not make up for a wrong one', () => {
  expect(check({}, { 'x-access-token': token })).not.toThrow();
  expect(check({ path: 'hello.txt', username: 'user', signature }, { 'x-access-token': 'wrong' })).toThrow(
    'access token present in header but does not match',
  );
});

test.each([
  [{ path: 'hello.txt' }, 'missing signature query parameter'],
  [{ path: 'hello.txt', username: 'root', signature }, 'invalid signature'],
  [{ path: './hello.txt', username: 'user', signature }, 'invalid signature'],
  [{ path: 'hello.txt', username: 'user', signature: `${signature}=` }, 'invalid signature'],
  [{ path: 'hello.txt', username: 'user', signature, signature_expiration: '1900000000' }, 'invalid signature'],
])('%j is rejected: %s', (query, message) => {
  expect(check(query)).toThrow(message);
});

test.each([
  ['1799999999', 'signature is already expired'],
  ['nonsense', 'signature is already expired'],
])('a signature until %s is rejected', (expiration, message) => {
  const signed = fileSignature({ path: 'a', operation: 'read', username: '', expiration }, token);
  expect(check({ path: 'a', signature: signed, signature_expiration: expiration })).toThrow(message);
});

test('a signature for writing does not allow reading', () => {
  const signed = fileSignature({ path: 'a', operation: 'write', username: '', expiration: undefined }, token);
  expect(check({ path: 'a', signature: signed })).toThrow('invalid signature');
});

test('without an access token everybody has access', () => {
  expect(() => authorizeFileRequest(initialSettings, {}, new URLSearchParams(), 'write')).not.toThrow();
});
