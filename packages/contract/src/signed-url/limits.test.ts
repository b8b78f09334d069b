import { describe, expect, test } from 'vitest';
import { isAddressRange, isInRanges } from './address-ranges.ts';
import { findLimitFault } from './limits.ts';
import type { RequestFacts } from './limits.ts';
import type { Grant } from './parameters.ts';
import { isMediaType } from './parse-grant.ts';

describe('the address of a client', () => {
  test.each([
    ['192.0.2.1', '192.0.2.0/24'],
    ['192.0.2.1', '192.0.2.1'],
    ['192.0.2.1', '0.0.0.0/0'],
    ['::ffff:192.0.2.1', '192.0.2.0/24'],
    ['::ffff:c000:201', '192.0.2.0/24'],
    ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.0/24'],
    ['2001:db8::1', '2001:db8::/32'],
    ['2001:db8::1', '2001:db8::1/128'],
    ['2001:db8::1', '2001:db8::/112'],
    ['2001:DB8:0::1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::/10'],
  ])('%s is in %s', (address, range) => {
    expect(isAddressRange(range)).toBe(true);
    expect(isInRanges(address, [range])).toBe(true);
    expect(isInRanges(address, ['198.51.100.0/24', range, '2001:dead::/32'])).toBe(true);
  });

  test.each([
    ['192.0.3.1', '192.0.2.0/24'],
    ['::ffff:192.0.3.1', '192.0.2.0/24'],
    ['192.0.2.1', '::/0'],
    ['::ffff:192.0.2.1', '::/0'],
    ['2001:db8::1', '0.0.0.0/0'],
    ['64:ff9b::192.0.2.1', '192.0.2.0/24'],
    ['2001:db9::1', '2001:db8::/32'],
    ['2001:db8::2', '2001:db8::1'],
    ['1::ffff:c000:201', '192.0.2.0/24'],
    ['::ffff:0:c000:201', '192.0.2.0/24'],
    ['', '0.0.0.0/0'],
    ['unknown', '::/0'],
    ['192.0.2.1, 10.0.0.1', '0.0.0.0/0'],
  ])('%j is not in %s', (address, range) => {
    expect(isInRanges(address, [range])).toBe(false);
  });

  test.each([
    ...['', '192.0.2.0/33', '192.0.2.0/-1', '192.0.2.0/024', '192.0.2/24', '192.0.2.0/', '192.0.2.01', '0x7f.0.0.1'],
    ...[
      '::/129',
      '::ffff:192.0.2.0/120',
      '::ffff:c000:200/120',
      'fe80::1%eth0',
      'localhost',
      '192.0.2.0/24/24',
      'x/192.0.2.0/24',
      '2001:db8::/1281',
    ],
  ])('cannot be compared with %j', (range) => {
    expect(isAddressRange(range)).toBe(false);
  });
});

const grant: Grant = { keyId: 's', signerId: 'a', expiresAt: 1, nonce: 'n', once: false };
const facts: RequestFacts = {
  address: '192.0.2.1',
  contentTypes: [],
  contentEncodings: [],
  announcedBytes: undefined,
  isUpgrade: false,
};
const faultOf = (more: Partial<Grant>, given: Partial<RequestFacts>): string | undefined =>
  findLimitFault({ ...grant, ...more }, { ...facts, ...given })?.reason;

test('a URL without limits has no faults', () => {
  expect(faultOf({}, { announcedBytes: 1e12, contentTypes: ['x', 'y'], contentEncodings: ['gzip'] })).toBeUndefined();
});

test.each([
  ['image/png', ['image/png'], undefined],
  ['image/png', ['Image/PNG; charset=x'], undefined],
  ['image/*', ['image/svg+xml'], undefined],
  ['image/*', ['image/x'], undefined],
  ['image/png', [' image/png ; q=1'], undefined],
  ['image/png', ['image/pngx'], 'unsupported_media_type'],
  ['image/png', ['image/gif'], 'unsupported_media_type'],
  ['image/*', ['image/'], 'unsupported_media_type'],
  ['image/*', ['imagex/png'], 'unsupported_media_type'],
  ['image/*', ['text/html;image/png'], 'unsupported_media_type'],
  ['image/png', [], 'unsupported_media_type'],
  ['image/png', ['image/png', 'text/html'], 'unsupported_media_type'],
])('with the type %s a body of %j is %s', (contentType, contentTypes, reason) => {
  expect(isMediaType(contentType)).toBe(true);
  expect(faultOf({ contentType }, { contentTypes })).toBe(reason);
});

test.each(['', 'image', 'image/', '*/*', '/png', 'Image/png', 'image/png;q=1', 'a b/c', 'image/p*'])(
  '%j is not a media type',
  (text) => {
    expect(isMediaType(text)).toBe(false);
  },
);

test.each([
  [{ announcedBytes: 10 }, undefined],
  [{ announcedBytes: undefined }, undefined],
  [{ announcedBytes: 11 }, 'body_too_large'],
  [{ isUpgrade: true }, 'forbidden'],
  [{ contentEncodings: ['gzip'] }, 'unsupported_media_type'],
  [{ contentEncodings: ['identity', 'br'] }, 'unsupported_media_type'],
  [{ contentEncodings: [' Identity '] }, undefined],
])('with a limit of 10 bytes the request %j is %s', (given, reason) => {
  expect(faultOf({ maxBytes: 10 }, given)).toBe(reason);
});

test('a client outside the address ranges is refused', () => {
  const addresses = ['198.51.100.0/24', '192.0.2.0/24'];
  expect([faultOf({ addresses }, {}), faultOf({ addresses }, { address: '203.0.113.1' })]).toEqual([
    undefined,
    'forbidden',
  ]);
});

test('every fault says what would be accepted', () => {
  const message = (more: Partial<Grant>, given: Partial<RequestFacts> = {}): string | undefined =>
    findLimitFault({ ...grant, ...more }, { ...facts, ...given })?.message;
  expect(message({ addresses: ['::1'] })).toMatch(/address/);
  expect(message({ contentType: 'image/*' })).toMatch(/image\/\*/);
  expect(message({ maxBytes: 7 }, { announcedBytes: 8 })).toMatch(/7 bytes/);
  expect(message({ maxBytes: 7 }, { isUpgrade: true })).toMatch(/upgrade/);
  expect(message({ maxBytes: 7 }, { contentEncodings: ['br'] })).toMatch(/uncompressed/);
});
