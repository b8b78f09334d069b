/** @module-tag violation */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { removeTree } from '@soulbox/base';
import { makeSshKey, wire } from '../testing/ssh-client.ts';
import { parsePublicKey, parsePublicKeyLine } from './public-key.ts';
import { findSigningKey } from './verify-request.ts';

const folder = mkdtempSync(join(tmpdir(), 'soulbox-ssh-key-'));
afterAll(async () => await removeTree(folder));

const { line } = makeSshKey();
const [, data = ''] = line.split(' ');
const bytes = Buffer.from(data, 'base64');

describe('a public key', () => {
  it.each([
    ['ed25519', []],
    ['ecdsa', ['-b', '256']],
    ['ecdsa', ['-b', '384']],
    ['ecdsa', ['-b', '521']],
    ['rsa', ['-b', '2048']],
  ])('of ssh-keygen -t %s %j has the fingerprint that it prints', (type, args) => {
    const file = join(folder, `${type}${args.join('')}`);
    execFileSync('ssh-keygen', ['-q', '-t', type, ...args, '-N', '', '-C', 'a comment', '-f', file]);
    const { key, comment } = parsePublicKeyLine(readFileSync(`${file}.pub`, 'utf8'));
    const shown = execFileSync('ssh-keygen', ['-l', '-f', `${file}.pub`], { encoding: 'utf8' });
    expect(shown).toContain(`${key.fingerprint} a comment`);
    expect(comment).toBe('a comment');
  });

  it.each([
    ['nothing', ''],
    ['a private key', '-----BEGIN OPENSSH PRIVATE KEY-----'],
    ['options', `restrict ${line}`],
    ['two lines', `${line}\n${line}`],
    ['another name', line.replace('ssh-ed25519', 'ssh-rsa')],
    ['a cut key', line.slice(0, 50)],
    ['a certificate', `ssh-ed25519-cert-v01@openssh.com ${data}`],
    ['100,000 characters', `ssh-ed25519 ${'A'.repeat(100_000)}`],
  ])('with %s is refused', (_what, text) => {
    expect(() => parsePublicKeyLine(text)).toThrow(/public key/);
  });

  it.each([
    ['bytes after its end', Buffer.concat([bytes, Buffer.from([0])])],
    ['a length beyond its end', Buffer.from([0xff, 0xff, 0xff, 0xff, 1])],
    ['a short point', wire('ssh-ed25519', Buffer.alloc(31))],
    [
      'a point that is not on its curve',
      wire('ecdsa-sha2-nistp256', 'nistp256', Buffer.from([4, ...Array<number>(64).fill(1)])),
    ],
    ['another curve than its name', wire('ecdsa-sha2-nistp256', 'nistp384', Buffer.alloc(97, 4))],
    [
      'RSA with 1024 bits',
      wire('ssh-rsa', Buffer.from([1, 0, 1]), Buffer.from([0, 0x80, ...Array<number>(127).fill(1)])),
    ],
    ['RSA with a negative modulus', wire('ssh-rsa', Buffer.from([1, 0, 1]), Buffer.alloc(256, 0xff))],
    ['the name of a member of objects', wire('constructor', Buffer.alloc(32))],
    ['DSA', wire('ssh-dss', Buffer.alloc(32))],
  ])('with %s is none', (_what, encoded) => {
    expect(parsePublicKey(encoded)).toBeUndefined();
  });
});

describe('a signed request', () => {
  const key = makeSshKey();

  it('names the key with which it was signed', () => {
    expect(findSigningKey(key.attempt('iabc'))?.algorithm).toBe('ssh-ed25519');
  });

  it.each([
    ['for another user', { signedUser: 'iother' }],
    ['for another service', { service: 'ssh-userauth' }],
    ['with the key of somebody else', { publicKey: bytes }],
    ['with a signature of somebody else', { signature: makeSshKey().attempt('iabc').signature }],
    ['with an empty signature', { signature: Buffer.alloc(0) }],
    ['of nothing', { signed: Buffer.alloc(0) }],
  ])('%s is refused', (_what, more) => {
    expect(findSigningKey(key.attempt('iabc', more))).toBeUndefined();
  });

  it('that was changed in any byte is refused', () => {
    const attempt = key.attempt('iabc');
    for (let at = 0; at < attempt.signed.length; at += 1) {
      const signed = Buffer.from(attempt.signed);
      signed[at] = (signed[at] ?? 0) ^ 1;
      expect(findSigningKey({ ...attempt, signed })).toBeUndefined();
      expect(findSigningKey({ ...attempt, signed: attempt.signed.subarray(0, at) })).toBeUndefined();
    }
  });
});
