import { X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { systemClock } from '@soulbox/base';
import type { EnvdAuthority } from '@soulbox/envd-client';
import { createEgressAuthority, installAuthority } from './egress-authority.ts';

test('two sandboxes have different authorities with the same name, which last ten years', async () => {
  const [one, two] = await Promise.all([createEgressAuthority(systemClock), createEgressAuthority(systemClock)]);
  const [first, second] = [new X509Certificate(one.certificate), new X509Certificate(two.certificate)];
  expect([first.subject, first.ca]).toEqual([second.subject, true]);
  expect(first.fingerprint256).not.toBe(second.fingerprint256);
  expect(Date.parse(first.validTo)).toBeGreaterThan(Date.now() + 3600 * 86_400_000);
});

test('envd gets the certificate and never the key; public authorities follow only when it has none', async () => {
  const authority = await createEgressAuthority(systemClock);
  for (const needsRoots of [false, true]) {
    const told: EnvdAuthority[] = [];
    await installAuthority({ trust: (given) => Promise.resolve(told.push(given) === 1 && needsRoots) }, authority);
    expect(told.map(({ roots }) => roots !== undefined)).toEqual(needsRoots ? [false, true] : [false]);
    expect(JSON.stringify(told)).not.toContain('PRIVATE');
    expect(told[0]?.certificate).toBe(authority.certificate);
  }
});
