import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { createTunnelWatch, looksLikeData, registeredDomain } from './tunnel-watch.ts';

test.each([
  ['a.example.com', 'example.com'],
  ['example.com', 'example.com'],
  ['a.b.example.co.uk', 'example.co.uk'],
  ['com', 'com'],
])('the registered domain of %s is %s', (name, domain) => {
  expect(registeredDomain(name)).toBe(domain);
});

test('encoded random bytes look like data', () => {
  for (let round = 0; round < 200; round += 1) {
    expect(looksLikeData(randomBytes(20).toString('hex'))).toBe(true);
    expect(looksLikeData(randomBytes(30).toString('base64url').toLowerCase().replace(/[-_]/g, 'x'))).toBe(true);
  }
});

test.each([
  'www',
  'internal-services-production-main-cluster',
  'kubernetes-dashboard',
  'xn--bcher-kva',
  'ec2-203-0-113-7',
])('%s does not look like data', (label) => {
  expect(looksLikeData(label)).toBe(false);
});

test('short names that are many are noticed by their volume, and forgotten after a minute', () => {
  let now = 0;
  const watch = createTunnelWatch(() => now);
  const name = (index: number): string => `${index}.abcdefgh.example.com`;
  const isSuspect = Array.from({ length: 600 }, (_, index) => watch.isSuspect(name(index), 'A'));
  expect(isSuspect[100]).toBe(false);
  expect(isSuspect.at(-1)).toBe(true);
  expect(watch.isSuspect('www.other.com', 'A')).toBe(false);
  now = 60_001;
  expect(watch.isSuspect(name(9999), 'A')).toBe(false);
});

test('the same names again are never suspect', () => {
  const watch = createTunnelWatch(() => 0);
  for (let round = 0; round < 10_000; round += 1)
    expect(watch.isSuspect(`host-${round % 50}.example.com`, 'A')).toBe(false);
});

test('one very long name is suspect', () => {
  const watch = createTunnelWatch(() => 0);
  expect(watch.isSuspect(`${'abcd.'.repeat(40)}example.com`, 'A')).toBe(true);
});

test('TXT has a budget for all names together', () => {
  const watch = createTunnelWatch(() => 0);
  const isSuspect = Array.from({ length: 40 }, (_, index) => watch.isSuspect(`d${index}.org`, 'TXT'));
  expect(isSuspect.filter((suspect) => !suspect)).toHaveLength(30);
});

test('many domains do not fill the memory: what exceeds is counted together', () => {
  const watch = createTunnelWatch(() => 0);
  const isSuspect = Array.from({ length: 2000 }, (_, index) => watch.isSuspect(`w.domain${index}.org`, 'A'));
  expect(isSuspect[499]).toBe(false);
  expect(Array.from({ length: 5000 }, (_, index) => watch.isSuspect(`x${index}.y${index}.org`, 'A')).at(-1)).toBe(true);
});
