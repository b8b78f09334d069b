import { describe, expect, test } from 'vitest';
import { findCidr, overlaps, textFromCidr } from './cidr.ts';
import { isOpen, parseEgressPolicy, rangesOf } from './policy.ts';

describe('ranges', () => {
  test.each([
    ['203.0.113.7', '203.0.113.7'],
    ['203.0.113.7/32', '203.0.113.7'],
    ['203.0.113.7/24', '203.0.113.0/24'],
    ['255.255.255.255/1', '128.0.0.0/1'],
    ['1.2.3.4/0', '0.0.0.0/0'],
  ])('%s means %s', (text, meaning) => {
    const range = findCidr(text);
    expect(range && textFromCidr(range)).toBe(meaning);
  });

  test.each([
    '',
    '/',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '010.1.1.1',
    '0x7f.1.1.1',
    '2130706433',
    '1.2.3.4/33',
    '1.2.3.4/-1',
    '1.2.3.4/',
    '1.2.3.4/08',
    '1.2.3.4/8/8',
    ' 1.2.3.4',
    '1.2.3.4\n',
    '::1',
    '::ffff:1.2.3.4',
    '1.2.3.4; flush ruleset',
    '1.2.3.4 }',
  ])('%j is not a range', (text) => {
    expect(findCidr(text)).toBeUndefined();
  });

  test('two ranges overlap exactly when one contains the other', () => {
    const at = (text: string) => findCidr(text) ?? { address: 0, prefix: 0 };
    expect(overlaps(at('10.0.0.0/8'), at('10.9.8.7'))).toBe(true);
    expect(overlaps(at('10.9.8.7'), at('0.0.0.0/0'))).toBe(true);
    expect(overlaps(at('10.0.0.0/9'), at('10.128.0.0/9'))).toBe(false);
    expect(overlaps(at('200.0.0.1'), at('200.0.0.2'))).toBe(false);
  });
});

describe('policies', () => {
  test('an empty policy is open', () => {
    expect(isOpen(parseEgressPolicy({}))).toBe(true);
    expect(isOpen(parseEgressPolicy({ allowInternetAccess: true, allowOut: ['1.1.1.1'] }))).toBe(true);
    expect(isOpen(parseEgressPolicy({ denyOut: ['1.1.1.1'], allowOut: ['0.0.0.0/0'] }))).toBe(true);
  });

  test('denied ranges need a rule, unless everything is allowed', () => {
    expect(isOpen(parseEgressPolicy({ denyOut: ['1.1.1.1'] }))).toBe(false);
    expect(isOpen(parseEgressPolicy({ denyOut: ['1.1.1.1'], allowOut: ['8.8.8.0/24'] }))).toBe(false);
    expect(isOpen(parseEgressPolicy({ allowInternetAccess: false }))).toBe(false);
    expect(isOpen(parseEgressPolicy({ allowInternetAccess: false, allowOut: ['8.8.8.8', '8.8.4.4'] }))).toBe(false);
  });

  test('no internet access and a denied 0.0.0.0/0 both mean closed', () => {
    expect(parseEgressPolicy({ allowInternetAccess: false }).closed).toBe(true);
    expect(parseEgressPolicy({ denyOut: ['0.0.0.0/0'], allowOut: ['8.8.8.8'] }).closed).toBe(true);
  });

  test('ranges inside others are omitted, because nft accepts no overlaps in a set', () => {
    const { denied } = parseEgressPolicy({
      denyOut: ['203.0.113.9', '203.0.113.0/24', '203.0.112.0/22', '8.8.8.8', '8.8.8.8'],
    });
    expect(rangesOf(denied).map(textFromCidr)).toEqual(['203.0.112.0/22', '8.8.8.8']);
  });

  test.each(['example.com', '*.example.com', 'a.b-c.io'])(
    'the domain %s in allowOut is not implemented yet',
    (domain) => {
      expect(() => parseEgressPolicy({ allowOut: [domain] })).toThrow(
        expect.objectContaining({ reason: 'not_implemented' }),
      );
      expect(() => parseEgressPolicy({ denyOut: [domain] })).toThrow(
        expect.objectContaining({ reason: 'bad_request' }),
      );
    },
  );

  test.each(['', '::/0', '::ffff:10.0.0.1', '1.2.3.4/99', 'x\n', '"', '..', 'a'.repeat(10_000)])(
    '%j is a bad request',
    (entry) => {
      expect(() => parseEgressPolicy({ allowOut: [entry] })).toThrow(
        expect.objectContaining({ reason: 'bad_request' }),
      );
    },
  );

  test('the length of a list is limited', () => {
    const denyOut = Array.from({ length: 1001 }, (_, index) => `8.8.${index >> 8}.${index & 255}`);
    expect(() => parseEgressPolicy({ denyOut })).toThrow(expect.objectContaining({ reason: 'limit_exceeded' }));
    expect(parseEgressPolicy({ denyOut: denyOut.slice(1) }).denied).toHaveLength(1000);
  });

  test('an allow list with everything opens a closed policy, whatever else it contains', () => {
    for (const allowOut of [
      ['8.8.8.8', '0.0.0.0/0'],
      ['0.0.0.0/0', '8.8.8.8'],
    ])
      expect(parseEgressPolicy({ allowInternetAccess: false, allowOut }).closed).toBe(false);
    expect(parseEgressPolicy({ allowInternetAccess: false, allowOut: ['128.0.0.0/1'] }).closed).toBe(true);
  });

  test('a message names the list, and quotes only a short part of a bad entry', () => {
    expect(() => parseEgressPolicy({ denyOut: ['x'.repeat(500)] })).toThrow(
      /^denyOut contains "x{100}", which is neither/,
    );
    expect(() => parseEgressPolicy({ allowOut: ['a.b'] })).toThrow(/^allowOut names the domain "a\.b"/);
    expect(() => parseEgressPolicy({ allowOut: ['a.b!'] })).toThrow(/^allowOut contains "a\.b!", which is neither/);
    expect(() => parseEgressPolicy({ allowOut: ['!a.b'] })).toThrow(/^allowOut contains "!a\.b", which is neither/);
  });
});
