import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '@soulbox/base';
import { openSqliteRecords } from '@soulbox/storage';
import type { KeyringRecords, Records } from '@soulbox/storage';
import { fileKeyringRecords } from './file-records.ts';
import { fileMasterKeys } from './file/file-master-keys.ts';
import { openKeyring } from './keyring.ts';
import { rotateMasterKey } from './rotate.ts';

let folder: string;
let path: string;
let sqlite: Records;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-keys-'));
  path = join(folder, 'runner-keys.json');
  sqlite = openSqliteRecords(join(folder, 'records.sqlite'));
});
afterEach(async () => {
  await sqlite[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const masterKeyFile = (): string => join(folder, 'secrets', 'master-key');
const sources = () => [fileMasterKeys(masterKeyFile())] as const;
const place = { table: 't', row: 'r', field: 'f', team: '' };
const seal = async (records: KeyringRecords, text: string, valuesPerKey = 2): Promise<string> => {
  using keyring = await openKeyring({ records, sources: sources(), valuesPerKey });
  return await keyring.seal(new Secret(text), place);
};
const unseal = async (records: KeyringRecords, sealed: string): Promise<string> => {
  using keyring = await openKeyring({ records, sources: sources() });
  return (await keyring.open(sealed, place)).reveal();
};
const masterKeys = async (): Promise<string[]> =>
  (await readFile(masterKeyFile(), 'utf8')).match(/file:[0-9a-f]{16}/g) ?? [];

describe('data keys in a file', () => {
  it('are used and reserved as those in the records are, and only the owner can read the file', async () => {
    const sealed: string[] = [];
    for (let n = 0; n < 5; n++) sealed.push(await seal(fileKeyringRecords(path), `value ${n}`));
    for (const [n, text] of sealed.entries()) expect(await unseal(fileKeyringRecords(path), text)).toBe(`value ${n}`);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const { dataKeys } = JSON.parse(await readFile(path, 'utf8')) as { dataKeys: { claimed: number }[] };
    expect(dataKeys.map(({ claimed }) => claimed)).toEqual([2, 2, 2, 2, 2]);
  });

  it('are not lost when several processes add some at once', async () => {
    await seal(fileKeyringRecords(path), 'first');
    const many = Array.from({ length: 20 }, async (_, n) => await seal(fileKeyringRecords(path), `value ${n}`, 1));
    const sealed = await Promise.all(many);
    for (const [n, text] of sealed.entries()) expect(await unseal(fileKeyringRecords(path), text)).toBe(`value ${n}`);
  });

  it.for(['', '{', '[]', '{"format":1}', '{"format":1,"masterKeys":[],"dataKeys":[{"id":"x"}]}'])(
    'are not replaced when the file is %j: what they encrypted would be lost',
    async (content) => {
      await writeFile(path, content);
      await expect(seal(fileKeyringRecords(path), 'x')).rejects.toMatchObject({ reason: 'state_damaged' });
      expect(await readFile(path, 'utf8')).toBe(content);
    },
  );

  it('of a newer version are refused', async () => {
    await writeFile(path, '{"format":3}');
    await expect(seal(fileKeyringRecords(path), 'x')).rejects.toThrow('newer SoulBox (format 3)');
  });

  it('keep the key of encrypted folders through all changes, and have only one', async () => {
    const sealed = await seal(fileKeyringRecords(path), 'x');
    const diskKey = { keyId: 'ab'.repeat(16), sealed };
    await fileKeyringRecords(path).addDiskKey(diskKey);
    await expect(fileKeyringRecords(path).addDiskKey({ ...diskKey, sealed: 'other' })).rejects.toThrow('already');
    await seal(fileKeyringRecords(path), 'y', 1);
    expect(await fileKeyringRecords(path).findDiskKey()).toEqual(diskKey);
    expect(await unseal(fileKeyringRecords(path), sealed)).toBe('x');
  });

  it('stay when the key of encrypted folders is removed from a copy, and another one can be added', async () => {
    const sealed = await seal(fileKeyringRecords(path), 'x');
    await fileKeyringRecords(path).removeDiskKey();
    await fileKeyringRecords(path).addDiskKey({ keyId: 'ab'.repeat(16), sealed });
    await fileKeyringRecords(path).removeDiskKey();
    expect(await fileKeyringRecords(path).findDiskKey()).toBeUndefined();
    expect(await readFile(path, 'utf8')).not.toContain('diskKey');
    expect(await unseal(fileKeyringRecords(path), sealed)).toBe('x');
    const other = { keyId: 'cd'.repeat(16), sealed };
    await fileKeyringRecords(path).addDiskKey(other);
    expect(await fileKeyringRecords(path).findDiskKey()).toEqual(other);
  });

  it('need the master key that wrapped them, and no other one is created', async () => {
    await seal(fileKeyringRecords(path), 'x');
    await rm(masterKeyFile());
    await expect(seal(fileKeyringRecords(path), 'x')).rejects.toMatchObject({ reason: 'master_key_missing' });
    await expect(stat(masterKeyFile())).rejects.toThrow('ENOENT');
  });
});

describe('a rotation of two sets', () => {
  const both = () => [sqlite.keyring, fileKeyringRecords(path)];
  const rotate = async (records = both()) => await rotateMasterKey({ records, sources: sources(), keepOld: false });

  it('moves both to one new master key, which is the only one left', async () => {
    const sealed = await Promise.all(both().map((records) => seal(records, 'value')));
    const [old] = await masterKeys();
    const rotation = await rotate();
    expect(rotation).toMatchObject({ rewrapped: 2, isContinued: false, retired: [{ id: old, isRemoved: true }] });
    expect(await masterKeys()).toEqual([rotation.to]);
    for (const [n, records] of both().entries()) expect(await unseal(records, sealed[n] ?? '')).toBe('value');
  });

  it('leaves out a set that no server has used', async () => {
    await seal(sqlite.keyring, 'value');
    expect(await rotate()).toMatchObject({ rewrapped: 1 });
    await expect(stat(path)).rejects.toThrow('ENOENT');
    // Its first server takes the new key.
    await seal(fileKeyringRecords(path), 'value');
    expect(await masterKeys()).toHaveLength(1);
  });

  it('does not begin when one of them needs a key that is lost', async () => {
    await seal(fileKeyringRecords(path), 'value');
    await rm(masterKeyFile());
    await seal(sqlite.keyring, 'value');
    const before = await masterKeys();
    await expect(rotate()).rejects.toMatchObject({ reason: 'master_key_missing' });
    expect(await masterKeys()).toEqual(before);
  });

  it('that stops at any of its steps leaves both readable, and the next one completes it', async () => {
    const texts = await Promise.all(both().map((records) => seal(records, 'value')));
    for (let steps = 1, isOver = false; !isOver; steps++) {
      let left = steps;
      /** Fails instead of the next step that changes anything. */
      const stopping = (records: KeyringRecords): KeyringRecords =>
        new Proxy(records, {
          get:
            (target, name: keyof KeyringRecords) =>
            async (...args: unknown[]) => {
              const changes = ['switchMasterKey', 'rewrap', 'eraseReplaced', 'retireMasterKeys'].includes(name);
              if (changes && left-- === 0) throw new Error('killed');
              return await (target[name] as (...all: unknown[]) => Promise<unknown>)(...args);
            },
        });
      isOver = await rotate(both().map(stopping)).then(
        () => true,
        () => false,
      );
      for (const [n, records] of both().entries()) expect(await unseal(records, texts[n] ?? '')).toBe('value');
      await rotate();
      expect(await masterKeys()).toHaveLength(1);
      for (const [n, records] of both().entries()) expect(await unseal(records, texts[n] ?? '')).toBe('value');
    }
  });
});
