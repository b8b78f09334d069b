import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { asUser, createClients, runShell } from '../testing/clients.ts';
import { useEnvd } from '../testing/use-envd.ts';

const envd = useEnvd();
const folder = mkdtempSync(join(tmpdir(), 'soulbox-trust-'));
const openssl = (...args: string[]): string => execFileSync('openssl', args, { encoding: 'utf8', stdio: 'pipe' });
let hash = '';
let one = '';
let two = '';
let roots = '';

function make(): string {
  const file = join(folder, 'ca.pem');
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', join(folder, 'ca.key')];
  openssl('req', '-x509', ...key, '-subj', '/CN=SoulBox egress CA', '-out', file);
  hash = openssl('x509', '-noout', '-subject_hash', '-in', file).trim();
  return readFileSync(file, 'utf8');
}
beforeAll(() => {
  one = make();
  two = make();
  roots = make();
});

async function sh(line: string, user = 'root'): Promise<string> {
  return (await runShell(createClients(envd().baseUrl).process, line, asUser(user))).stdout;
}

async function trust(body: object, token = envd().hostToken): Promise<{ status: number; body: string }> {
  const answer = await fetch(`${envd().baseUrl}/soulbox/trust`, {
    method: 'POST',
    headers: { 'x-soulbox-host-token': token },
    body: JSON.stringify(body),
  });
  return { status: answer.status, body: await answer.text() };
}

const bodyOf = (pem: string): string => pem.trim();
const bundle = '/etc/ssl/certs/ca-certificates.crt';

beforeEach(async () => {
  await sh(
    'rm -rf /etc/soulbox-egress /etc/ssl /usr/local/share/ca-certificates /tmp/*; mkdir -p /etc/ssl/certs /usr/local/share/ca-certificates',
  );
  await sh(`cat >${bundle} <<'END'\n${roots}\nEND`);
});

test('the authority is in the bundle, in the folder of certificates and in the source of later updates', async () => {
  expect(await trust({ certificate: one, subjectHash: hash })).toEqual({ status: 200, body: '{"needsRoots":false}' });
  const seen = await sh(`cat ${bundle}`);
  expect([seen.includes(bodyOf(roots)), seen.includes(bodyOf(one))]).toEqual([true, true]);
  expect(await sh(`cat /etc/ssl/certs/${hash}.0 /usr/local/share/ca-certificates/soulbox-egress.crt`)).toBe(one + one);
  expect(await sh('stat -c "%a %U" /etc/soulbox-egress /etc/soulbox-egress/bundle.pem')).toBe('755 root\n644 root\n');
});

test('another authority replaces the first one, and a repeated call changes nothing', async () => {
  await trust({ certificate: one, subjectHash: hash });
  await trust({ certificate: two, subjectHash: hash });
  const before = await sh(`cat ${bundle} /etc/soulbox-egress/*.pem; stat -c %i ${bundle}`);
  expect(before).not.toContain(bodyOf(one));
  expect(before.split(bodyOf(two)).length).toBe(4);
  await trust({ certificate: two, subjectHash: hash });
  expect(await sh(`cat ${bundle} /etc/soulbox-egress/*.pem; stat -c %i ${bundle}`)).toBe(before);
});

test('programs get the variables, and those of the tenant override them', async () => {
  await trust({ certificate: one, subjectHash: hash });
  expect(await sh('echo $NODE_EXTRA_CA_CERTS $SSL_CERT_FILE $REQUESTS_CA_BUNDLE', 'user')).toBe(
    '/etc/soulbox-egress/ca.pem /etc/soulbox-egress/bundle.pem /etc/soulbox-egress/bundle.pem\n',
  );
  await envd().init({ envVars: { SSL_CERT_FILE: '/mine' } });
  expect(await sh('echo $SSL_CERT_FILE $NODE_EXTRA_CA_CERTS')).toBe('/mine /etc/soulbox-egress/ca.pem\n');
});

test('a sandbox without a bundle asks for one, and until then no program loses its own list', async () => {
  await sh(`rm ${bundle}`);
  expect((await trust({ certificate: one, subjectHash: hash })).body).toBe('{"needsRoots":true}');
  expect(await sh('echo "[$SSL_CERT_FILE]" $NODE_EXTRA_CA_CERTS')).toBe('[] /etc/soulbox-egress/ca.pem\n');
  expect((await trust({ certificate: one, subjectHash: hash, roots })).body).toBe('{"needsRoots":false}');
  const seen = await sh('cat $SSL_CERT_FILE');
  expect([seen.includes(bodyOf(roots)), seen.includes(bodyOf(one))]).toEqual([true, true]);
});

describe('a link that somebody in the sandbox has planted', () => {
  const victim = '/etc/victim';
  test.each([
    ['as the bundle', `ln -sf ${victim} ${bundle}`],
    ['as the certificate', `ln -sf ${victim} /etc/ssl/certs/HASH.0`],
    ['as the source', `ln -sf ${victim} /usr/local/share/ca-certificates/soulbox-egress.crt`],
    [
      'as a folder above',
      'rm -rf /usr/local/share/ca-certificates; mkdir -p /etc/victims; ln -s /etc/victims /usr/local/share/ca-certificates',
    ],
    ['as our folder', 'mkdir -p /etc/victims; ln -s /etc/victims /etc/soulbox-egress'],
    ['as our file', `mkdir /etc/soulbox-egress; ln -s ${victim} /etc/soulbox-egress/ca.pem`],
  ])('%s is not followed', async (_, plant) => {
    await sh(`rm -rf /etc/victims; echo secret >${victim}; chmod 600 ${victim}; ${plant.replace('HASH', hash)}`);
    expect((await trust({ certificate: one, subjectHash: hash, roots })).status).toBe(200);
    expect(await sh(`cat ${victim}; stat -c %a ${victim}; ls -A /etc/victims 2>/dev/null`)).toBe('secret\n600\n');
    expect(await sh('cat /etc/soulbox-egress/bundle.pem 2>/dev/null')).not.toContain('secret');
  });

  test('a folder in place of the certificate or of the source prevents nothing else', async () => {
    await sh(`mkdir /etc/ssl/certs/${hash}.0 /usr/local/share/ca-certificates/soulbox-egress.crt`);
    expect((await trust({ certificate: one, subjectHash: hash })).status).toBe(200);
    expect(await sh(`cat /etc/soulbox-egress/ca.pem; find /etc/ssl /usr/local/share -name '.soulbox-*'`)).toBe(one);
  });

  test('a FIFO, a device or a folder in place of a file does not block', async () => {
    await sh(
      `rm -f ${bundle}; mkfifo ${bundle}; mkdir /etc/ssl/cert.pem; mkdir -p /etc/pki/tls/certs; ln -s /dev/zero /etc/pki/tls/certs/ca-bundle.crt`,
    );
    expect(await trust({ certificate: one, subjectHash: hash })).toEqual({ status: 200, body: '{"needsRoots":true}' });
  });
});

test.each([
  [{}],
  [{ certificate: 'x', subjectHash: '00000000' }],
  [{ certificate: 5, subjectHash: '00000000' }],
  [{ certificate: '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n', subjectHash: '../../etc' }],
])('%o is a bad request', async (body) => {
  expect((await trust(body)).status).toBe(400);
});

test('only the host may call it', async () => {
  expect((await trust({ certificate: one, subjectHash: hash }, 'wrong')).status).toBe(401);
});

test('keytool reads the store, with the password of Java and without one', async () => {
  await trust({ certificate: one, subjectHash: hash });
  const store = join(envd().upperDirectory, 'etc/soulbox-egress/cacerts.jks');
  for (const password of [['-storepass', 'changeit'], []]) {
    const args = ['-list', '-storetype', 'JKS', '-keystore', store, ...password];
    const listed = execFileSync('keytool', args, { encoding: 'utf8', input: '\n', stdio: ['pipe', 'pipe', 'ignore'] });
    expect(listed.match(/trustedCertEntry/g)).toHaveLength(2);
  }
});
