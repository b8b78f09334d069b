import { describe, expect, test } from 'vitest';
import { findCidr, overlaps, textFromCidr } from './cidr.ts';
import { coversName, coversPort, isOpen, parseEgressPolicy, rangesOf } from './policy.ts';
import type { DomainRule } from './policy.ts';

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

  test.each([
    ['example.com', { name: 'example.com', isWildcard: false }],
    ['*.Example.COM.', { name: 'example.com', isWildcard: true }],
    ['b\u00fccher.example', { name: 'xn--bcher-kva.example', isWildcard: false }],
    ['a.b-c.io:8443', { name: 'a.b-c.io', isWildcard: false, ports: { from: 8443, to: 8443 } }],
    ['_dmarc.a.io:1-65535', { name: '_dmarc.a.io', isWildcard: false, ports: { from: 1, to: 65_535 } }],
  ])('the domain %s in allowOut is a name, and denyOut refuses it', (entry, rule) => {
    expect(parseEgressPolicy({ allowInternetAccess: false, allowOut: [entry] }).domains).toEqual([
      { ...rule, text: entry },
    ]);
    expect(() => parseEgressPolicy({ denyOut: [entry] })).toThrow(expect.objectContaining({ reason: 'bad_request' }));
  });

  test('a domain needs a policy that is closed otherwise', () => {
    const open = { allowOut: ['example.com'] };
    expect(() => parseEgressPolicy(open)).toThrow(
      /^allowOut names the domain "example\.com", which has an effect only if/,
    );
    expect(parseEgressPolicy({ ...open, denyOut: ['0.0.0.0/0'] })).toMatchObject({ closed: true, isInspected: true });
    expect(() => parseEgressPolicy({ ...open, denyOut: ['0.0.0.0/0:443'] })).toThrow(/add 0\.0\.0\.0\/0 to denyOut/);
  });

  test.each(
    [
      ['a.*.com', '*', '*.', '**.com', '*.*.com', 'a*.com'],
      ['1.2.3', '0x7f.1', '127.1', '1.2.3.4.', '2130706433', '[::1]'],
      ['a..b', '.a', '-a.com', 'a-.com', 'a b.com', 'http://a.com', 'a.com/', 'a.com:443/x', 'user@a.com', 'a\0.com'],
      ['a.com:', 'a.com:0', 'a.com:65536', 'a.com:9-8', 'a.com:1-', 'a.com:x', '8.8.8.8:', '8.8.8.8:1:2', ':443'],
      [`${'a'.repeat(64)}.com`, `${'a.'.repeat(127)}com`],
    ].flat(),
  )('%j in allowOut is a bad request', (entry) => {
    expect(() => parseEgressPolicy({ allowInternetAccess: false, allowOut: [entry] })).toThrow(
      expect.objectContaining({ reason: 'bad_request' }),
    );
  });

  test('a name covers itself, or with `*.` everything below it', () => {
    const rule = (entry: string): DomainRule =>
      parseEgressPolicy({ allowInternetAccess: false, allowOut: [entry] }).domains[0] ?? expect.fail();
    const asked = ['a.io', 'x.a.io', 'y.x.a.io', 'xa.io', 'io', 'a.io.evil.com'];
    expect(asked.filter((name) => coversName(rule('a.io'), name))).toEqual(['a.io']);
    expect(asked.filter((name) => coversName(rule('*.a.io'), name))).toEqual(['x.a.io', 'y.x.a.io']);
    expect([80, 443, 8443].filter((port) => coversPort(rule('a.io'), port))).toEqual([80, 443]);
    expect([80, 443, 8443].filter((port) => coversPort(rule('a.io:8000-9000'), port))).toEqual([8443]);
  });

  test('rules, limits, a proxy and learning make a policy inspected, also if everything is allowed', () => {
    const limits = { bytes: 0n, connections: 0, connectionsPerSecond: 0, bytesPerSecond: 0n };
    expect(isOpen(parseEgressPolicy({ rules: {}, limits, learn: false }))).toBe(true);
    expect(parseEgressPolicy({ rules: { 'a.io': {} } })).toMatchObject({ isInspected: true, datagrams: 'not-web' });
    expect(parseEgressPolicy({ learn: true, allowInternetAccess: false })).toMatchObject({
      isInspected: true,
      closed: false,
    });
    expect(parseEgressPolicy({ limits: { ...limits, bytes: 1n } })).toMatchObject({
      isInspected: true,
      datagrams: 'none',
    });
    expect(parseEgressPolicy({ egressProxy: {} })).toMatchObject({ isInspected: true, datagrams: 'none' });
    expect(parseEgressPolicy({ denyOut: ['1.1.1.1:25'] })).toMatchObject({
      isInspected: false,
      datagrams: 'addresses',
    });
  });

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
      /^denyOut contains "x{100}", which is not an IPv4 address or an IPv4 CIDR, with or without ":port"\.$/,
    );
    expect(() => parseEgressPolicy({ allowOut: ['a.b!'] })).toThrow(/^allowOut contains "a\.b!", which is not/);
  });
});
