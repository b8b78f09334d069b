import { expect, test } from 'vitest';
import { createAttempts } from './attempts.ts';

const now = { value: 0 };
const clock = { now: () => now.value };
const isRefused = (attempts: ReturnType<typeof createAttempts>, address: string): boolean => {
  try {
    attempts.check(address);
    return false;
  } catch {
    return true;
  }
};

test('ten failures are free, then one each six seconds', () => {
  const attempts = createAttempts(clock, 'sign-ins');
  for (let n = 0; n < 10; n += 1) {
    expect(isRefused(attempts, '203.0.113.1'), String(n)).toBe(false);
    attempts.fail('203.0.113.1');
  }
  expect(isRefused(attempts, '203.0.113.1')).toBe(true);
  now.value += 6000;
  expect(isRefused(attempts, '203.0.113.1')).toBe(false);
  attempts.fail('203.0.113.1');
  expect(isRefused(attempts, '203.0.113.1')).toBe(true);
});

test('addresses of one IPv6 network count together, checks without a failure do not count', () => {
  const attempts = createAttempts(clock, 'sign-ins');
  for (let n = 0; n < 10; n += 1) attempts.fail(`2001:db8::${n.toString(16)}`);
  expect(isRefused(attempts, '2001:db8::ffff')).toBe(true);
  expect(isRefused(attempts, '2001:db8:0:1::1')).toBe(false);
  for (let n = 0; n < 100; n += 1) attempts.check('203.0.113.2');
  expect(isRefused(attempts, '203.0.113.2')).toBe(false);
});

test('the table is bounded: beyond it, unknown addresses share one count, and known ones keep theirs', () => {
  const attempts = createAttempts(clock, 'sign-ins');
  for (let n = 0; n < 10; n += 1) attempts.fail('192.0.2.1');
  for (let n = 0; n < 20_000; n += 1) attempts.fail(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`);
  expect(attempts.size).toBeLessThanOrEqual(10_001);
  expect(isRefused(attempts, '192.0.2.1')).toBe(true);
  expect(isRefused(attempts, '10.0.0.1')).toBe(false);
  expect(isRefused(attempts, '198.51.100.1')).toBe(true);
  // The count of the others has grown long; that of each known address has not.
  now.value += 60_000;
  attempts.fail('10.0.0.1');
  expect(attempts.size).toBeLessThanOrEqual(3);
});
