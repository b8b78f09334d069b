import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createAuthority } from './create-authority.ts';
import { issueCertificate, openIssuer } from './issue-certificate.ts';
import { subjectHash } from './subject-hash.ts';

const lifetime = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };

async function withFiles(files: Record<string, string>, work: (folder: string) => void): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-certificates-'));
  try {
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const openssl = (...args: string[]): string => execFileSync('openssl', args, { encoding: 'utf8', stdio: 'pipe' });

test.each(['SoulBox egress CA', 'two  Blanks and Ü', 'x'])(
  'OpenSSL computes the same hash of the subject %s',
  async (commonName) => {
    const { certPem } = await createAuthority({ ...lifetime, commonName });
    await withFiles({ 'ca.pem': certPem }, (folder) => {
      const file = join(folder, 'ca.pem');
      expect(openssl('x509', '-noout', '-subject_hash', '-in', file).trim()).toBe(subjectHash(commonName));
    });
  },
);

test('OpenSSL verifies an issued certificate in its strict mode, for its name and no other', async () => {
  const authority = await createAuthority({ ...lifetime, commonName: 'CA' });
  const names = [{ type: 'dns' as const, value: 'a.example.com' }];
  const issued = await issueCertificate(await openIssuer(authority), { ...lifetime, commonName: 'leaf', names });
  await withFiles({ 'ca.pem': authority.certPem, 'leaf.pem': issued.certPem }, (folder) => {
    const verify = (name: string): string =>
      openssl(
        'verify',
        '-x509_strict',
        '-purpose',
        'sslserver',
        '-verify_hostname',
        name,
        '-CAfile',
        join(folder, 'ca.pem'),
        join(folder, 'leaf.pem'),
      );
    expect(verify('a.example.com')).toContain('OK');
    expect(() => verify('b.example.com')).toThrow();
  });
});

test('a certificate ends no later than its issuer, and cannot issue others', async () => {
  const authority = await createAuthority({ ...lifetime, commonName: 'CA' });
  const late = { notBefore: lifetime.notBefore, notAfter: new Date(Date.now() + 7_200_000) };
  const names = [{ type: 'dns' as const, value: 'a.example.com' }];
  const leaf = await issueCertificate(await openIssuer(authority), { ...late, commonName: 'leaf', names });
  const below = await issueCertificate(await openIssuer(leaf), { ...late, commonName: 'below', names });
  await withFiles({ 'ca.pem': authority.certPem, 'leaf.pem': leaf.certPem, 'below.pem': below.certPem }, (folder) => {
    const [ca, middle, last] = ['ca.pem', 'leaf.pem', 'below.pem'].map((name) => join(folder, name));
    const end = (file = ''): string => openssl('x509', '-noout', '-enddate', '-in', file);
    expect(end(middle)).toBe(end(ca));
    expect(() => openssl('verify', '-CAfile', ca ?? '', '-untrusted', middle ?? '', last ?? '')).toThrow();
  });
});
