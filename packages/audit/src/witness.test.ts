import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openLogFiles } from './log-files.ts';
import { openLog } from './log.ts';
import type { Log } from './log.ts';
import { createVerifier } from './note.ts';
import { verifyLog } from './verify-log.ts';
import { askWitness } from './witness.ts';
import type { Witness } from './witness.ts';
import { leavesOf, makeLog } from './testing/test-log.ts';

const program = '/usr/bin/sigsum-witness';
const isInstalled = existsSync(program) || process.env['CI'] === 'true';

/** The 32 bytes of an Ed25519 key. */
function rawKey(privateKey: string): Buffer {
  return createPublicKey(privateKey).export({ type: 'spki', format: 'der' }).subarray(-32);
}

const field = (bytes: Buffer | string): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(Buffer.byteLength(bytes));
  return Buffer.concat([length, Buffer.from(bytes)]);
};

/** An Ed25519 key as OpenSSH writes it (PROTOCOL.key of OpenSSH). */
function openSshKeys(): { privateKey: string; publicRaw: Buffer } {
  const { privateKey } = generateKeyPairSync('ed25519');
  const seed = privateKey.export({ type: 'pkcs8', format: 'der' }).subarray(-32);
  const publicRaw = rawKey(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
  const blob = Buffer.concat([field('ssh-ed25519'), field(publicRaw)]);
  const check = Buffer.from('00000001'.repeat(2), 'hex');
  const secret = Buffer.concat([
    check,
    field('ssh-ed25519'),
    field(publicRaw),
    field(Buffer.concat([seed, publicRaw])),
    field('test'),
  ]);
  const padding = Buffer.from(Array.from({ length: (8 - (secret.length % 8)) % 8 }, (_, index) => index + 1));
  const body = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    ...[field('none'), field('none'), field(''), Buffer.from([0, 0, 0, 1])],
    ...[field(blob), field(Buffer.concat([secret, padding]))],
  ]);
  const lines = body.toString('base64').replaceAll(/.{70}/g, '$&\n');
  return {
    privateKey: `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines}\n-----END OPENSSH PRIVATE KEY-----\n`,
    publicRaw,
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function untilListening(port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    const socket = connect(port, '127.0.0.1');
    const isThere = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    });
    socket.destroy();
    if (isThere) return;
    await sleep(50);
  }
  throw new Error('The witness does not listen.');
}

describe.skipIf(!isInstalled)(
  'an unmodified witness (Debian package sigsum-go, which is not installed if this is skipped)',
  () => {
    let folder: string;
    let process_: ChildProcess;
    let witness: Witness;
    let log: Log;
    let privateKey: string;
    const files = (name: string) => openLogFiles(join(folder, name));

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'soulbox-witness-'));
      const own = openSshKeys();
      const port = await freePort();
      privateKey = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      const logKey = rawKey(privateKey);
      await writeFile(join(folder, 'witness-key'), own.privateKey, { mode: 0o600 });
      const publicBlob = Buffer.concat([field('ssh-ed25519'), field(logKey)]).toString('base64');
      await writeFile(join(folder, 'log-key.pub'), `ssh-ed25519 ${publicBlob} log\n`);
      process_ = spawn(
        program,
        [
          ...['-k', join(folder, 'witness-key'), '--log-key', join(folder, 'log-key.pub')],
          ...['--state-file', join(folder, 'state'), `127.0.0.1:${port}`],
        ],
        // Debian builds it for an older router of Go, under which its routes are not found.
        { stdio: 'ignore', env: { GODEBUG: 'httpmuxgo121=0' } },
      );
      await untilListening(port);
      // It knows a log by an origin that it makes from the hash of its key, and names itself in the same way.
      const origin = `sigsum.org/v1/tree/${createHash('sha256').update(logKey).digest('hex')}`;
      const name = `sigsum.org/v1/witness/${createHash('sha256').update(own.publicRaw).digest('hex')}`;
      witness = { url: `http://127.0.0.1:${port}`, verifier: createVerifier(name, 'cosignature', own.publicRaw) };
      log = await openLog({ files: files('log'), privateKey, newOrigin: origin });
    });
    afterAll(async () => {
      process_.kill('SIGKILL');
      await rm(folder, { recursive: true });
    });

    test('signs a log, its growth, and says which size it has signed last', async () => {
      await log.append(leavesOf(0, 300));
      const first = await askWitness(log, witness, 0);
      expect(first).toMatchObject({ kind: 'signed', signature: { type: 'cosignature' } });
      await log.append(leavesOf(300, 700));
      const answer = await askWitness(log, witness, 0);
      if (answer.kind !== 'signed') throw new Error(`The witness has refused: ${answer.status}`);
      expect(Math.abs((answer.signature.signedAt ?? 0) - Date.now() / 1000)).toBeLessThan(60);
      await log.addSignatures(log.checkpoint, [answer.signature.line]);
      await writeFile(join(folder, 'log/log.json'), '{"from":0}');
      const { name, keyId, publicKey } = witness.verifier;
      const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
      const key = `${name}+${keyId.toString('hex')}+${Buffer.concat([Buffer.from([4]), raw]).toString('base64')}`;
      const report = verifyLog({ directory: join(folder, 'log'), key: log.verifierKey, witnesses: [key], quorum: 1 });
      expect(report).toMatchObject({ faults: [], records: 700 });
    });

    test('refuses a rewritten history with the same key, and an older state', async () => {
      const { origin } = log;
      const forged = await openLog({ files: files('forged'), privateKey, newOrigin: origin });
      await forged.append(leavesOf(0, 900, { action: 'sandbox.kill' }));
      expect(await askWitness(forged, witness, 700)).toMatchObject({ kind: 'refused', status: 422 });
      const old = await openLog({ files: files('old'), privateKey, newOrigin: origin });
      await old.append(leavesOf(0, 300));
      expect(await askWitness(old, witness, 300)).toMatchObject({ kind: 'refused', status: 409, size: 700 });
    });

    test('refuses a log that it does not know', async () => {
      await using other = await makeLog(3);
      expect(await askWitness(other.log, witness, 0)).toMatchObject({ kind: 'refused' });
    });
  },
);

describe('a witness that misbehaves', () => {
  async function answeredBy(status: number, body: string | undefined, headers: Record<string, string> = {}) {
    await using made = await makeLog(3);
    const server = createServer((request, response) => {
      request.resume();
      request.on('end', () => {
        response.writeHead(status, headers);
        if (body === undefined) response.destroy();
        else response.end(body);
      });
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    const verifier = createVerifier('witness.example', 'cosignature', rawKey(made.privateKey));
    try {
      return await askWitness(made.log, { url: `http://127.0.0.1:${port}`, verifier }, 0);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  }
  const notReady = expect.objectContaining({ reason: 'host_not_ready' }) as Error;

  test.each([
    ['answers nothing', 200, ''],
    [
      'answers with a signature of an unknown key',
      200,
      `\u2014 other.example ${Buffer.alloc(76).toString('base64')}\n`,
    ],
    ['hangs up', 200, undefined],
    ['answers without end', 200, 'x'.repeat(1_000_000)],
  ])('and %s is an error', async (_, status, body) => {
    await expect(answeredBy(status, body)).rejects.toThrow(notReady);
  });

  test('and answers with a page is an error', async () => {
    await expect(answeredBy(200, '<html>\n')).rejects.toThrow(
      expect.objectContaining({ reason: 'state_damaged' }) as Error,
    );
  });

  test('and sends us elsewhere is not followed', async () => {
    await expect(answeredBy(302, '', { location: 'http://127.0.0.1:1/' })).rejects.toThrow(notReady);
  });

  test('and claims a size that we do not have is a refusal, not a proof for it', async () => {
    const size = { 'content-type': 'text/x.tlog.size' };
    expect(await answeredBy(409, '99\n', size)).toEqual({ kind: 'refused', status: 409, size: 99 });
    expect(await answeredBy(409, '2\n', size)).toEqual({ kind: 'refused', status: 409, size: 2 });
    expect(await answeredBy(409, '1e9\n', size)).toEqual({ kind: 'refused', status: 409, size: undefined });
  });
});
