import { Secret, systemClock } from '@soulbox/base';
import { createAuthority } from '@soulbox/certificates';
import { expect, test } from 'vitest';
import type { Authority } from '../policies/policed-sandbox.ts';
import { createLeafCertificates } from './leaf-certificates.ts';

const lifetime = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };

async function newAuthority(): Promise<Authority> {
  const { certPem, keyPem } = await createAuthority({ ...lifetime, commonName: 'CA' });
  return { certificate: certPem, privateKey: new Secret(keyPem) };
}

test('a name gets one certificate, which another authority does not share', async () => {
  const leaves = createLeafCertificates(systemClock);
  const [one, other] = [await newAuthority(), await newAuthority()];
  expect(leaves.has(one, 'a.example')).toBe(false);
  const first = await leaves.contextFor(one, 'a.example');
  expect(leaves.has(one, 'a.example')).toBe(true);
  expect(leaves.has(other, 'a.example')).toBe(false);
  expect(await leaves.contextFor(one, 'a.example')).toBe(first);
  expect(await leaves.contextFor(other, 'a.example')).not.toBe(first);
});

test('a sandbox that asks for ever new names is refused, keeps what it has, and delays no other', async () => {
  const leaves = createLeafCertificates(systemClock);
  const [hostile, other] = [await newAuthority(), await newAuthority()];
  await leaves.contextFor(other, 'a.example');
  const outcomes = await Promise.allSettled(
    Array.from({ length: 300 }, async (_, index) => await leaves.contextFor(hostile, `n${index}.example`)),
  );
  const refused = outcomes.filter(({ status }) => status === 'rejected');
  expect(refused.length).toBeGreaterThan(150);
  expect(refused[0]).toMatchObject({ reason: { reason: 'rate_limit' } });
  expect(leaves.has(hostile, 'n99.example')).toBe(true);
  expect(leaves.has(hostile, 'n0.example')).toBe(false);
  expect(leaves.has(other, 'a.example')).toBe(true);
  await leaves.contextFor(other, 'b.example');
});

test('an authority that is damaged is an error of the connection that needs it, each time', async () => {
  const leaves = createLeafCertificates(systemClock);
  const { certificate } = await newAuthority();
  const damaged = { certificate, privateKey: new Secret('no key') };
  expect(leaves.has(damaged, 'a.example')).toBe(false);
  await expect(leaves.contextFor(damaged, 'a.example')).rejects.toThrow();
  await expect(leaves.contextFor(damaged, 'a.example')).rejects.toThrow();
});
