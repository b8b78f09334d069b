import { spawn } from 'node:child_process';
import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createVerifier } from '../note.ts';

/** A running `sigsum-witness` of Debian's package sigsum-go, unmodified. */
export interface SigsumWitness extends AsyncDisposable {
  readonly url: string;
  /** Its verifier key. */
  readonly key: string;
  /** The only origin that it knows: one that it makes from the key of the log. */
  readonly origin: string;
}

const program = '/usr/bin/sigsum-witness';
export const isSigsumInstalled = existsSync(program);

/** The 32 bytes of an Ed25519 key. */
export function rawKey(privateKey: string): Buffer {
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

/** Starts a witness for the log with this private key (Ed25519, in PEM). */
export async function startSigsumWitness(privateKey: string): Promise<SigsumWitness> {
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-sigsum-'));
  const own = openSshKeys();
  const port = await freePort();
  const logKey = rawKey(privateKey);
  await writeFile(join(folder, 'witness-key'), own.privateKey, { mode: 0o600 });
  const publicBlob = Buffer.concat([field('ssh-ed25519'), field(logKey)]).toString('base64');
  await writeFile(join(folder, 'log-key.pub'), `ssh-ed25519 ${publicBlob} log\n`);
  const started = spawn(
    program,
    [
      ...['-k', join(folder, 'witness-key'), '--log-key', join(folder, 'log-key.pub')],
      ...['--state-file', join(folder, 'state'), `127.0.0.1:${port}`],
    ],
    // Debian builds it for an older router of Go, under which its routes are not found.
    { stdio: 'ignore', env: { GODEBUG: 'httpmuxgo121=0' } },
  );
  await untilListening(port);
  // It names itself in the same way as the log.
  const name = `sigsum.org/v1/witness/${createHash('sha256').update(own.publicRaw).digest('hex')}`;
  const { keyId } = createVerifier(name, 'cosignature', own.publicRaw);
  return {
    url: `http://127.0.0.1:${port}`,
    key: `${name}+${keyId.toString('hex')}+${Buffer.concat([Buffer.from([4]), own.publicRaw]).toString('base64')}`,
    origin: `sigsum.org/v1/tree/${createHash('sha256').update(logKey).digest('hex')}`,
    async [Symbol.asyncDispose]() {
      started.kill('SIGKILL');
      await rm(folder, { recursive: true });
    },
  };
}
