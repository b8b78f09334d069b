import { describe, expect, it } from 'vitest';
import { createOutsidePolicy } from '@soulbox/network/outside';
import { isPrivateTarget } from '../private-target.ts';
import { createTargetPolicy } from './target.ts';
import type { TargetPolicy } from './target.ts';

const outside = createOutsidePolicy([], () => ['198.51.100.7/32']);

describe('the hosts that the configuration may name', () => {
  it.each(['hooks', 'hooks.internal', '10.0.0.0/8', '127.0.0.1', '::1', 'fd00::/8'])('include %s', (text) => {
    expect(isPrivateTarget(text)).toBe(true);
  });

  it.each(['', 'a b', 'http://x', 'x:80', '10.0.0.0/33', '::1/129', '10.0.0.0/x', '10.0.0/8', 'a/8', '10.0.0.0/8/8'])(
    'do not include %j',
    (text) => {
      expect(isPrivateTarget(text)).toBe(false);
    },
  );
});

const hostOf = (url: string): string => new URL(url).hostname;

describe('a policy that allows nothing private', () => {
  const policy = createTargetPolicy([], outside);

  it.each([
    ...['http://127.0.0.1', 'http://2130706433', 'http://0x7f.1', 'http://017700000001', 'http://127.1', 'http://0'],
    ...['http://[::1]', 'http://[::ffff:127.0.0.1]', 'http://[::ffff:a9fe:a9fe]', 'http://169.254.169.254/latest'],
    ...['http://168.63.129.16', 'http://198.51.100.7', 'http://[fd00:ec2::254]', 'http://[64:ff9b::a9fe:a9fe]'],
    ...['http://localhost', 'http://LOCALHOST:80', 'http://a.localhost', 'http://localhost.', 'http://１２７.0.0.1'],
  ])('refuses %s without a DNS lookup', (url) => {
    expect(() => policy.checkHost(hostOf(url))).toThrow(/private, local or reserved/);
  });

  it.each(['https://hooks.example.com', 'http://1.1.1.1', 'http://[2606:4700::1111]'])('allows %s', (url) => {
    expect(() => policy.checkHost(hostOf(url))).not.toThrow();
  });

  it('refuses a name that resolves to this machine, in both forms of lookup that Node uses', async () => {
    expect(await resolve(policy, 'localhost', true)).toMatch(/private, local or reserved/);
    expect(await resolve(policy, 'localhost', false)).toMatch(/private, local or reserved/);
  });

  it('returns the error of a name that does not resolve', async () => {
    expect(await resolve(policy, 'nope.invalid', true)).toMatch(/ENOTFOUND|EAI_AGAIN/);
  });
});

describe('a policy with exceptions', () => {
  it('allows a host by its name, and no other with the same address', async () => {
    const policy = createTargetPolicy(['localhost'], outside);
    expect(() => policy.checkHost('localhost')).not.toThrow();
    expect(await resolve(policy, 'localhost', false)).toMatch(/^(127\.0\.0\.1|::1)$/);
    expect(() => policy.checkHost('127.0.0.1')).toThrow();
  });

  it('allows a network and nothing outside it', async () => {
    const policy = createTargetPolicy(['127.0.0.0/8', '::1'], outside);
    expect(() => policy.checkHost('127.9.9.9')).not.toThrow();
    expect(() => policy.checkHost('10.0.0.1')).toThrow();
    expect(await resolve(policy, 'localhost', true)).toMatch(/127\.0\.0\.1|::1/);
  });
});

/** The address of a connection, or the text of the error. */
function resolve(policy: TargetPolicy, hostname: string, all: boolean): Promise<string> {
  return new Promise((done) => {
    policy.lookup(hostname, { all }, (error, address) => {
      done(error === null ? (typeof address === 'string' ? address : JSON.stringify(address)) : error.message);
    });
  });
}
