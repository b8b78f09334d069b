import { expect, test } from 'vitest';
import { findTraceContext, traceparentOf } from './traceparent.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';
const valid = `00-${traceId}-${spanId}-01`;

test('a header is read and written', () => {
  expect(findTraceContext(valid)).toEqual({ traceId, spanId, isSampled: true });
  expect(findTraceContext(`00-${traceId}-${spanId}-fe`)).toEqual({ traceId, spanId, isSampled: false });
  expect(traceparentOf({ traceId, spanId, isSampled: true })).toBe(valid);
  expect(traceparentOf({ traceId, spanId, isSampled: false })).toBe(`00-${traceId}-${spanId}-00`);
});

test('a later version may have further fields', () => {
  expect(findTraceContext(`cc-${traceId}-${spanId}-01-what-the-future-brings`)).toEqual({
    traceId,
    spanId,
    isSampled: true,
  });
  expect(findTraceContext(`cc-${traceId}-${spanId}-01.what`)).toBeUndefined();
});

test.each([
  [undefined],
  [''],
  ['00'],
  [valid.toUpperCase()],
  [` ${valid}`],
  [`${valid} `],
  [`${valid}\n`],
  [`${valid}-00`],
  [`${valid}, ${valid}`],
  [`ff-${traceId}-${spanId}-01`],
  [`00-${'0'.repeat(32)}-${spanId}-01`],
  [`00-${traceId}-${'0'.repeat(16)}-01`],
  [`00-${traceId}x-${spanId}-01`],
  [`00-${traceId}-${spanId}-1`],
  [`cc-${traceId}-${spanId}-01-${'x'.repeat(300)}`],
  ['x'.repeat(100_000)],
])('%j is ignored', (value) => {
  expect(findTraceContext(value)).toBeUndefined();
});

test('several headers are ignored', () => {
  expect(findTraceContext([valid, valid])).toBeUndefined();
});
