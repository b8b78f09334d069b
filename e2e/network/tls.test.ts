import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { runNode } from '../harness/cli.ts';
import { sharedSandbox } from '../harness/sandbox.ts';
import { server } from '../harness/server.ts';

const sandbox = sharedSandbox();
const authorityFile = server.tls['NODE_EXTRA_CA_CERTS'] ?? '';
const domain = (server.tls['E2B_DOMAIN'] ?? '').split(':')[0] ?? '';

test('the client needs only E2B_DOMAIN, a key and the CA', async () => {
  const { code, stdout, stderr } = await runNode([join(import.meta.dirname, '../fixtures/tls-client.mjs')], server.tls);
  expect(code, stderr).toBe(0);
  const report = JSON.parse(stdout) as Record<string, unknown>;
  expect(report).toMatchObject({
    host: `8000-${String(report['sandboxId'])}.${server.tls['E2B_DOMAIN'] ?? ''}`,
    stdout: 'over TLS\n',
    file: 'written over TLS',
    service: 200,
    signed: 'written over TLS',
    parallel: true,
    killed: true,
    afterKill: true,
    gone: 502,
  });
  expect(report['http2Streams']).toBeGreaterThan(50);
});

test.each(['h2', 'http/1.1'])('ALPN negotiates %s, on the API and on a sandbox', async (protocol) => {
  for (const name of [`api.${domain}`, `49983-${sandbox().sandboxId}.${domain}`]) {
    const ca = readFileSync(authorityFile);
    const socket = connectTls({
      host: '127.0.0.1',
      port: server.tlsPort,
      servername: name,
      ca,
      ALPNProtocols: [protocol],
    });
    await new Promise((resolve, reject) => {
      socket.once('secureConnect', resolve);
      socket.once('error', reject);
    });
    expect([socket.authorized, socket.alpnProtocol]).toEqual([true, protocol]);
    socket.destroy();
  }
});

test('many calls share one HTTP/2 connection', async () => {
  const authority = `https://49983-${sandbox().sandboxId}.${domain}:${String(server.tlsPort)}`;
  const session = connectHttp2(authority, { ca: readFileSync(authorityFile), lookup: toLoopback });
  const statuses = await Promise.all(
    Array.from({ length: 100 }, async () => {
      const stream = session.request({ ':path': '/health' });
      stream.resume();
      return await new Promise((resolve, reject) => {
        stream.once('response', (headers) => resolve(headers[':status']));
        stream.once('error', reject);
      });
    }),
  );
  session.close();
  expect(new Set(statuses)).toEqual(new Set([204]));
});

test('a client without the CA refuses the connection', async () => {
  const { E2B_API_KEY = '', E2B_DOMAIN = '' } = server.tls;
  const program = join(import.meta.dirname, '../fixtures/tls-client.mjs');
  const { code, stderr } = await runNode([program], { E2B_API_KEY, E2B_DOMAIN });
  expect(code).not.toBe(0);
  expect(stderr).toMatch(/certificate|fetch failed/i);
});

test('every user of the host can read the file of authorities: those of the system and ours', () => {
  const nobody = 65_534;
  const read = (file: string): string =>
    execFileSync('cat', [file], { uid: nobody, gid: nobody, encoding: 'utf8', maxBuffer: 2 ** 24 });
  const ownFile = join(server.dataDirectory, 'tls/ca.pem');
  expect([server.tls['SSL_CERT_FILE'], server.tls['REQUESTS_CA_BUNDLE']]).toEqual([authorityFile, authorityFile]);
  const systemAuthorities = readFileSync('/etc/ssl/certs/ca-certificates.crt', 'utf8');
  expect(read(authorityFile)).toBe(`${systemAuthorities}${readFileSync(ownFile, 'utf8')}`);
  expect(() => read(ownFile)).toThrow();
});

test('the CA certificate is marked as a CA, and other users cannot read its key', () => {
  expect(new X509Certificate(readFileSync(join(server.dataDirectory, 'tls/ca.pem'))).ca).toBe(true);
  expect(statSync(server.dataDirectory).mode & 0o77).toBe(0);
});

type Lookup = (host: string, options: object, done: (error: null, address: string, family: number) => void) => void;
const toLoopback: Lookup = (_host, options, done) => {
  if ('all' in options && options.all === true) {
    (done as unknown as (error: null, all: { address: string; family: number }[]) => void)(null, [
      { address: '127.0.0.1', family: 4 },
    ]);
  } else done(null, '127.0.0.1', 4);
};
