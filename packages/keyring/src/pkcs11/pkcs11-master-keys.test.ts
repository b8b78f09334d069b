import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { removeTree, Secret } from '@soulbox/base';
import { isThere } from '@soulbox/testing/is-there';
import { openKeyring } from '../keyring.ts';
import type { MasterKeySource } from '../master-key.ts';
import { openMasterKeySources } from '../open-sources.ts';
import { rotateMasterKey } from '../rotate.ts';
import { makeKeyFolder } from '../testing/key-folder.ts';
import type { KeyFolder } from '../testing/key-folder.ts';
import { loadPkcs11Module } from './module.ts';
import { pkcs11MasterKeys } from './pkcs11-master-keys.ts';

// SoftHSM is a complete module whose tokens are files. In each process it reads its configuration and its tokens once.
const softHsm = '/usr/lib/softhsm/libsofthsm2.so';
const pin = 'pin with spaces';
const token = 'soulbox';
/** A token into which nobody has logged in: a login is valid for the whole process. */
const otherToken = 'other';
const place = { table: 't', row: 'r', field: 'f', team: 't1' };

describe.skipIf(!isThere('SoftHSM', existsSync(softHsm)))('master keys in a PKCS #11 module', () => {
  let tokens: string;
  let folder: KeyFolder;
  beforeAll(async () => {
    tokens = await mkdtemp(join(tmpdir(), 'soulbox-softhsm-'));
    await mkdir(join(tokens, 'tokens'));
    const file = join(tokens, 'softhsm2.conf');
    await writeFile(file, `directories.tokendir = ${join(tokens, 'tokens')}\nobjectstore.backend = file\n`);
    process.env['SOFTHSM2_CONF'] = file;
    for (const label of [token, otherToken]) {
      const options = ['--free', '--label', label, '--so-pin', '12345678', '--pin', pin];
      execFileSync('softhsm2-util', ['--init-token', ...options], { stdio: 'ignore' });
    }
  });
  afterAll(() => removeTree(tokens));
  beforeEach(async () => {
    folder = await makeKeyFolder();
  });
  afterEach(() => folder[Symbol.asyncDispose]());

  const module = loadPkcs11Module(softHsm);
  const openToken = (label = token): MasterKeySource =>
    pkcs11MasterKeys(module, { token: label, pin: new Secret(pin) });

  it('wrap and unwrap, and are found again by another session', async () => {
    const made = await openToken().create();
    expect(made.id).toMatch(/^pkcs11:soulbox-[0-9a-f]{16}$/);
    const wrapped = await made.wrap(Buffer.alloc(32, 5), 'context');
    const found = await openToken().find(made.id);
    expect(await found?.unwrap(wrapped, 'context')).toEqual(Buffer.alloc(32, 5));
  });

  it('refuse what was altered, or wrapped for something else or by another key', async () => {
    const source = openToken();
    const [key, other] = [await source.create(), await source.create()];
    const wrapped = await key.wrap(Buffer.alloc(32, 5), 'context');
    await expect(key.unwrap(wrapped, 'another')).rejects.toMatchObject({ reason: 'state_damaged' });
    await expect(other.unwrap(wrapped, 'context')).rejects.toMatchObject({ reason: 'state_damaged' });
    for (let n = 0; n < wrapped.length; n++) {
      const altered = Buffer.from(wrapped);
      altered[n] = (altered[n] ?? 0) ^ 1;
      await expect(key.unwrap(altered, 'context'), `byte ${n}`).rejects.toMatchObject({ reason: 'state_damaged' });
      await expect(key.unwrap(wrapped.subarray(0, n), 'context')).rejects.toMatchObject({ reason: 'state_damaged' });
    }
    expect(await key.unwrap(wrapped, 'context')).toEqual(Buffer.alloc(32, 5));
  });

  it('use a new nonce each time', async () => {
    const key = await openToken().create();
    const nonces = await Promise.all(
      Array.from({ length: 200 }, async () => (await key.wrap(Buffer.alloc(32), 'c')).subarray(1, 13).toString('hex')),
    );
    expect(new Set(nonces).size).toBe(200);
  });

  it('are not found under the name of another key', async () => {
    await openToken().create();
    expect(await openToken().find('pkcs11:soulbox-0000000000000000')).toBeUndefined();
  });

  it('are refused with a wrong PIN, which is tried once only: a token locks itself', async () => {
    const calls: string[] = [];
    const counting = async (...[name, ...args]: Parameters<typeof module>): Promise<bigint> => {
      calls.push(name);
      return await module(name, ...args);
    };
    const source = pkcs11MasterKeys(counting, { token: otherToken, pin: new Secret('wrong') });
    for (let n = 0; n < 3; n++) await expect(source.create()).rejects.toThrow(/PIN .* is wrong or locked/);
    expect(calls.filter((name) => name === 'C_Login')).toHaveLength(1);
  });

  it('are refused without their token, and without the module', async () => {
    await expect(openToken('none').create()).rejects.toThrow(/0 tokens with the label "none"/);
    expect(() => loadPkcs11Module('/nonexistent.so')).toThrow(/cannot be loaded/);
    expect(() => loadPkcs11Module(join(folder.path, 'records.sqlite'))).toThrow(/cannot be loaded/);
  });

  it('are tried again after a fault of the module, with a new session', async () => {
    let faults = 2;
    const deviceError = 0x30n;
    const faulty: typeof module = async (name, ...args) =>
      name === 'C_EncryptInit' && faults-- > 0 ? deviceError : await module(name, ...args);
    const key = await pkcs11MasterKeys(faulty, { token, pin: new Secret(pin) }).create();
    expect(await key.unwrap(await key.wrap(Buffer.alloc(32, 1), 'c'), 'c')).toEqual(Buffer.alloc(32, 1));
    faults = Infinity;
    await expect(key.wrap(Buffer.alloc(32), 'c')).rejects.toMatchObject({ reason: 'key_store_unavailable' });
  });

  it('encrypt the values of a server, which moves to them from a file and back by rotations', async () => {
    const pinFile = join(folder.path, 'pin');
    await writeFile(pinFile, `${pin}\n`, { mode: 0o600 });
    const config = {
      ...{ masterKeyFile: folder.masterKeyFile, pkcs11Module: softHsm, pkcs11Token: token, pkcs11PinFile: pinFile },
    };
    const { keyring: records } = folder.records;
    const inFile = await openMasterKeySources({ config: { ...config, masterKey: 'file' }, defaultFile: '' });
    const inToken = await openMasterKeySources({ config: { ...config, masterKey: 'pkcs11' }, defaultFile: '' });
    await folder.source.create();
    const sealed = await (async () => {
      using keyring = await openKeyring({ records, sources: inFile });
      return await keyring.seal(new Secret('value'), place);
    })();
    const there = await rotateMasterKey({ records: [records], sources: inToken, keepOld: true });
    expect(there).toMatchObject({ to: expect.stringMatching(/^pkcs11:/) as string, rewrapped: 1 });
    using keyring = await openKeyring({ records, sources: inToken });
    expect((await keyring.open(sealed, place)).reveal()).toBe('value');
    await expect(openKeyring({ records, sources: [folder.source] })).rejects.toThrow(
      /not in a source that this server/,
    );
    const back = await rotateMasterKey({ records: [records], sources: inFile, keepOld: false });
    expect(back.retired).toContainEqual({ id: there.to, isRemoved: false });
    using onlyFile = await openKeyring({ records, sources: [folder.source] });
    expect((await onlyFile.open(sealed, place)).reveal()).toBe('value');
  });
});
