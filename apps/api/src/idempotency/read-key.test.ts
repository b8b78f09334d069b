import type { FastifyRequest } from 'fastify';
import { expect, it } from 'vitest';
import { readIdempotencyKey } from './read-key.ts';

const read = (...values: string[]): string | undefined =>
  readIdempotencyKey({
    raw: { headersDistinct: values.length === 0 ? {} : { 'idempotency-key': values } },
  } as unknown as FastifyRequest);

it.each([
  ['"8e03978e-40d5-43dd-bc93-6894a57f9324"', '8e03978e-40d5-43dd-bc93-6894a57f9324'],
  ['8e03978e-40d5-43dd-bc93-6894a57f9324', '8e03978e-40d5-43dd-bc93-6894a57f9324'],
  [String.raw`"a\"b\\c, d"`, String.raw`a"b\c, d`],
  ['x'.repeat(255), 'x'.repeat(255)],
  [`"${'x'.repeat(255)}"`, 'x'.repeat(255)],
])('%s is a key', (value, key) => {
  expect(read(value)).toBe(key);
});

it('a request without the header has no key', () => {
  expect(read()).toBeUndefined();
});

it.each([
  ...['', '""', '"', 'a"b', 'a, b', 'a b', String.raw`"a\b"`, '"a', 'ä', '\u0001', `"a"; x=1`],
  ...['x'.repeat(256), `"${'x'.repeat(256)}"`],
])('%j is refused', (value) => {
  expect(() => read(value)).toThrow('must be one string');
});

it('two headers are refused', () => {
  expect(() => read('a', 'a')).toThrow('must be one string');
});
