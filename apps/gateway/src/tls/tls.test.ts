import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { request as httpsRequest } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { askHttp2 } from '../testing/http-client.ts';
import { sandboxId, startTestWorld } from '../testing/test-world.ts';
import { openOwnCertificate } from './own-certificate.ts';

const day = 86_400_000;
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'soulbox-tls-'));
});
afterEach(async () => await rm(directory, { recursive: true, force: true }));

const clockAt = (now: number) => ({ now: () => now });
const own = async (domain = 'soulbox.localhost', now = Date.now()) =>
  await openOwnCertificate(join(directory, 'tls'), domain, clockAt(now));

/** A handshake that trusts only the CA. Returns the certificate, or throws the reason why it is not trusted. */
async function handshake(port: number, ca: string, servername: string, host = '127.0.0.1'): Promise<X509Certificate> {
  const socket: TLSSocket = connect({ host, port, ca, ...(servername === '' ? {} : { servername }) });
  try {
    await once(socket, 'secureConnect');
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) throw new Error('no certificate');
    return certificate;
  } finally {
    socket.destroy();
  }
}

describe('the own CA', () => {
  test('is created once, with keys that only the owner can read', async () => {
    const first = await own();
    const second = await own();
    expect(second).toEqual(first);
    for (const name of ['ca.key', 'server.pem'])
      expect((await stat(join(directory, 'tls', name))).mode & 0o777).toBe(0o600);
    expect((await stat(join(directory, 'tls', 'ca.pem'))).mode & 0o777).toBe(0o644);
    const ca = new X509Certificate(await readFile(first.caFile ?? ''));
    expect(ca.ca).toBe(true);
    const server = new X509Certificate(first.certPem);
    expect(server.ca).toBe(false);
    expect(server.verify(ca.publicKey)).toBe(true);
    expect(server.checkIssued(ca)).toBe(true);
  });

  test('covers the domain, everything below it, and this machine', async () => {
    const server = new X509Certificate((await own('box.example')).certPem);
    for (const name of ['box.example', 'api.box.example', `80-${sandboxId}.box.example`, 'localhost'])
      expect(server.checkHost(name)).toBeDefined();
    for (const name of ['evil.example', 'a.b.box.example']) expect(server.checkHost(name)).toBeUndefined();
    expect(server.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(server.checkIP('::1')).toBeDefined();
    expect(new X509Certificate((await own('10.1.2.3')).certPem).checkIP('10.1.2.3')).toBe('10.1.2.3');
  });

  test('signs a new certificate if fewer than 30 days are left, and keeps itself', async () => {
    const first = await own();
    const end = Date.parse(new X509Certificate(first.certPem).validTo);
    expect((await own(undefined, end - 31 * day)).certPem).toBe(first.certPem);
    const ca = await readFile(first.caFile ?? '', 'utf8');
    const renewed = await own(undefined, end - 29 * day);
    expect(renewed.certPem).not.toBe(first.certPem);
    expect(Date.parse(new X509Certificate(renewed.certPem).validTo)).toBeGreaterThan(end + 100 * day);
    expect(await readFile(renewed.caFile ?? '', 'utf8')).toBe(ca);
  });

  test('signs a new certificate for another domain and after damage to the old one', async () => {
    const first = await own();
    expect((await own('other.localhost')).certPem).not.toBe(first.certPem);
    for (const damage of ['', 'nonsense', first.certPem.slice(0, 300)]) {
      await writeFile(join(directory, 'tls', 'server.pem'), damage);
      const again = await own();
      expect(new X509Certificate(again.certPem).checkHost('soulbox.localhost')).toBeDefined();
    }
  });

  test('is created again after a crash between its two files', async () => {
    const first = await own();
    await rm(join(directory, 'tls', 'ca.pem'));
    const second = await own();
    expect(
      new X509Certificate(second.certPem).verify(new X509Certificate(await readFile(first.caFile ?? '')).publicKey),
    ).toBe(true);
    expect(second.certPem).not.toBe(first.certPem);
  });

  test.each([
    ['without its key', 'ca.key', undefined],
    ['with a damaged key', 'ca.key', 'x'],
    ['that is damaged', 'ca.pem', 'x'],
  ])('%s makes the start fail with advice instead of being replaced', async (_what, name, content) => {
    await own();
    const file = join(directory, 'tls', name);
    if (content === undefined) await rm(file);
    else await writeFile(file, content);
    await expect(own()).rejects.toMatchObject({
      reason: 'config_invalid',
      message: expect.stringContaining('ca.pem') as string,
    });
  });

  test('makes the start fail if it has expired', async () => {
    await own();
    await expect(own(undefined, Date.now() + 3651 * day)).rejects.toMatchObject({ reason: 'config_invalid' });
  });
});

describe('the TLS port', () => {
  test('is trusted by a client that only knows the CA, at every name it serves', async () => {
    await using world = await startTestWorld();
    const { tlsPort = 0, caFile = '' } = world.gateway;
    const ca = await readFile(caFile, 'utf8');
    for (const name of [
      'soulbox.localhost',
      'api.soulbox.localhost',
      `49983-${sandboxId}.soulbox.localhost`,
      'localhost',
      '',
    ])
      await handshake(tlsPort, ca, name);
    await expect(handshake(tlsPort, ca, 'elsewhere.example')).rejects.toThrow(/altnames/);
    const other = (await own()).caFile ?? '';
    await expect(handshake(tlsPort, await readFile(other, 'utf8'), 'localhost')).rejects.toThrow();
  });

  test('speaks HTTP/1.1 and HTTP/2 to the same sandbox', async () => {
    await using world = await startTestWorld();
    await world.serve(8080, (request, response) =>
      response.end(`${request.headers['x-forwarded-proto']?.toString() ?? ''} ${request.headers.host ?? ''}`),
    );
    const { tlsPort = 0, caFile = '' } = world.gateway;
    const ca = await readFile(caFile, 'utf8');
    const name = `8080-${sandboxId}.soulbox.localhost`;
    const outgoing = httpsRequest({
      host: '127.0.0.1',
      port: tlsPort,
      ca,
      servername: name,
      headers: { host: name },
      agent: false,
    });
    outgoing.end();
    const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
    expect(await text(incoming)).toBe(`https ${name}`);
    const http2 = await askHttp2(
      `https://127.0.0.1:${tlsPort}`,
      { ':path': '/', ':authority': name },
      { connect: { ca, servername: name } },
    );
    expect(http2.body).toBe(`https ${name}`);
  });

  test('uses a renewed certificate without a restart', async () => {
    let now = Date.now();
    await using world = await startTestWorld({ clock: { now: () => now } });
    const { tlsPort = 0, caFile = '' } = world.gateway;
    const ca = await readFile(caFile, 'utf8');
    const before = await handshake(tlsPort, ca, 'localhost');
    await world.gateway.checkCertificate();
    expect((await handshake(tlsPort, ca, 'localhost')).fingerprint256).toBe(before.fingerprint256);
    now = Date.parse(before.validTo) - 10 * day;
    await world.gateway.checkCertificate();
    const socket = connect({
      host: '127.0.0.1',
      port: tlsPort,
      ca,
      servername: 'localhost',
      rejectUnauthorized: false,
    });
    await once(socket, 'secureConnect');
    expect(socket.getPeerX509Certificate()?.fingerprint256).not.toBe(before.fingerprint256);
    socket.destroy();
  });

  test("serves the operator's certificate, and follows its file", async () => {
    const first = await own('given.example');
    const [certFile, keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
    await writeFile(certFile, first.certPem);
    await writeFile(keyFile, first.keyPem);
    await using world = await startTestWorld({ config: { tlsCertFile: certFile, tlsKeyFile: keyFile } });
    expect(world.gateway.caFile).toBeUndefined();
    const ca = await readFile(first.caFile ?? '', 'utf8');
    const port = world.gateway.tlsPort ?? 0;
    await handshake(port, ca, 'given.example');
    const second = await own('new.example');
    await writeFile(certFile, second.certPem);
    // Half written: the old pair stays in use.
    await world.gateway.checkCertificate();
    await handshake(port, ca, 'given.example');
    await writeFile(keyFile, second.keyPem);
    await world.gateway.checkCertificate();
    await handshake(port, ca, 'new.example');
  });

  test.each([
    ['a missing file', { tlsCertFile: '/nonexistent', tlsKeyFile: '/nonexistent' }],
    ['only one of the two', { tlsCertFile: '/etc/hostname' }],
    ['no certificate in it', { tlsCertFile: '/etc/hostname', tlsKeyFile: '/etc/hostname' }],
  ])('refuses to start with %s', async (_what, config) => {
    await expect(startTestWorld({ config })).rejects.toMatchObject({ reason: 'config_invalid' });
  });

  test('can be turned off', async () => {
    await using world = await startTestWorld({ config: { tls: false } });
    expect([world.gateway.tlsPort, world.gateway.caFile]).toEqual([undefined, undefined]);
  });
});
