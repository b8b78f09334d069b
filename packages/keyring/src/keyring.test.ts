import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Secret, systemClock } from '@soulbox/base';
import { openSqliteRecords } from '@soulbox/storage';
import { fileMasterKeys } from './file/file-master-keys.ts';
import { openKeyring } from './keyring.ts';
import type { Keyring } from './keyring.ts';
import type { Place } from './place.ts';
import { makeKeyFolder } from './testing/key-folder.ts';
import type { KeyFolder } from './testing/key-folder.ts';

let folder: KeyFolder;
beforeEach(async () => {
  folder = await makeKeyFolder();
});
afterEach(() => folder[Symbol.asyncDispose]());

const place = (row: string): Place => ({ table: 'webhooks', row, field: 'secret', team: 't1' });
const open = async (options: { valuesPerKey?: number; cachedKeys?: number } = {}): Promise<Keyring> =>
  await openKeyring({ records: folder.records.keyring, sources: [folder.source], ...options });
const seal = (keyring: Keyring, text: string, row = 'w1') => keyring.seal(new Secret(text), place(row));

describe('a keyring', () => {
  it('opens what it or another keyring on the same records has sealed', async () => {
    using first = await open();
    using second = await open();
    const sealed = await seal(first, 'geheim');
    expect((await first.open(sealed, place('w1'))).reveal()).toBe('geheim');
    expect((await second.open(sealed, place('w1'))).reveal()).toBe('geheim');
  });

  it('has stored neither the value nor a data key in plain text', async () => {
    using keyring = await open();
    const sealed = await seal(keyring, 'canary-4711');
    expect(sealed).not.toContain('canary');
    const [row] = folder.query('SELECT * FROM data_keys');
    expect(Buffer.from(String(row?.['wrapped']), 'base64url')).toHaveLength(1 + 12 + 32 + 16);
  });

  it('refuses a value that was moved to another row, or swapped with one', async () => {
    using keyring = await open();
    const [a, b] = [await seal(keyring, 'a', 'w1'), await seal(keyring, 'b', 'w2')];
    await expect(keyring.open(a, place('w2'))).rejects.toMatchObject({ reason: 'state_damaged' });
    await expect(keyring.open(b, place('w1'))).rejects.toMatchObject({ reason: 'state_damaged' });
    await expect(keyring.open('a readable secret', place('w1'))).rejects.toMatchObject({ reason: 'state_damaged' });
    await expect(keyring.open('', place('w1'))).rejects.toMatchObject({ reason: 'state_damaged' });
  });

  it('refuses a value whose data key was removed from the records, or replaced with another', async () => {
    const sealed = await (async () => {
      using keyring = await open({ valuesPerKey: 1 });
      await seal(keyring, 'other');
      return await seal(keyring, 'value');
    })();
    folder.query(
      'UPDATE data_keys SET wrapped = (SELECT wrapped FROM data_keys AS other WHERE other.id <> data_keys.id)',
    );
    await expect(open()).rejects.toMatchObject({ reason: 'master_key_missing' });
    folder.query('DELETE FROM data_keys');
    using keyring = await open();
    await expect(keyring.open(sealed, place('w1'))).rejects.toThrow(/no data key [0-9a-f]{32}/);
  });

  it('uses a data key for a limited number of values, also across restarts and processes', async () => {
    const ids = new Set<string>();
    const used = new Map<string, number>();
    for (let restart = 0; restart < 3; restart++) {
      using one = await open({ valuesPerKey: 10 });
      using two = await open({ valuesPerKey: 10 });
      await Promise.all(
        Array.from({ length: 25 }, async (_, n) => {
          const sealed = await seal(n % 2 === 0 ? one : two, 'x');
          const id = Buffer.from(sealed.slice(4), 'base64url').subarray(0, 16).toString('hex');
          ids.add(id);
          used.set(id, (used.get(id) ?? 0) + 1);
        }),
      );
    }
    expect(ids.size).toBeGreaterThanOrEqual(8);
    expect(Math.max(...used.values())).toBeLessThanOrEqual(10);
    expect(folder.query('SELECT max(claimed) AS most FROM data_keys')).toEqual([{ most: 10 }]);
  });

  it('works with far more data keys than it keeps in memory', async () => {
    using keyring = await open({ valuesPerKey: 1, cachedKeys: 2 });
    const sealed = await Promise.all(Array.from({ length: 30 }, (_, n) => seal(keyring, `value ${n}`)));
    const opened = await Promise.all(sealed.map((text) => keyring.open(text, place('w1'))));
    expect(opened.map((secret) => secret.reveal())).toEqual(sealed.map((_, n) => `value ${n}`));
  });

  it('still works after it was disposed, but keeps no key', async () => {
    const keyring = await open();
    const sealed = await seal(keyring, 'x');
    keyring[Symbol.dispose]();
    expect((await keyring.open(sealed, place('w1'))).reveal()).toBe('x');
  });
});

describe('the master key', () => {
  const useKeyring = async (): Promise<string> => {
    using keyring = await open();
    return await seal(keyring, 'value');
  };
  const masterKeyId = (): string => String(folder.query('SELECT id FROM master_keys')[0]?.['id']);

  it('is created by the first start only, in a file that its owner alone can read', async () => {
    const sealed = await useKeyring();
    const file = await readFile(folder.masterKeyFile, 'utf8');
    expect(file).toContain(`soulbox-master-key-1 ${masterKeyId()} `);
    expect((await stat(folder.masterKeyFile)).mode & 0o777).toBe(0o600);
    using keyring = await open();
    expect((await keyring.open(sealed, place('w1'))).reveal()).toBe('value');
    expect(await readFile(folder.masterKeyFile, 'utf8')).toBe(file);
  });

  it('is not replaced when it is lost: the start fails, names the key and the file, and creates nothing', async () => {
    await useKeyring();
    await rm(folder.masterKeyFile);
    const failed = open();
    await expect(failed).rejects.toMatchObject({ reason: 'master_key_missing' });
    await expect(failed).rejects.toThrow(masterKeyId());
    await expect(failed).rejects.toThrow(`is missing in ${folder.masterKeyFile}`);
    await expect(stat(folder.masterKeyFile)).rejects.toThrow('ENOENT');
    expect(folder.query('SELECT count(*) AS number FROM master_keys')).toEqual([{ number: 1 }]);
  });

  it('is also not replaced when no value was sealed yet', async () => {
    (await open())[Symbol.dispose]();
    await rm(folder.masterKeyFile);
    await expect(open()).rejects.toMatchObject({ reason: 'master_key_missing' });
  });

  it('must be the right one: that of another server is refused by its id', async () => {
    await useKeyring();
    const right = await readFile(folder.masterKeyFile);
    await rm(folder.masterKeyFile);
    await folder.source.create();
    await expect(open()).rejects.toMatchObject({ reason: 'master_key_missing' });
    await writeFile(folder.masterKeyFile, right, { mode: 0o600 });
    (await open())[Symbol.dispose]();
  });

  it('is refused when it has the right id but is another key', async () => {
    await useKeyring();
    const right = masterKeyId();
    folder.query(`UPDATE data_keys SET wrapped = 'AQ${'A'.repeat(80)}'`);
    await expect(open()).rejects.toThrow(`The master key ${right} is there, but cannot unwrap`);
  });

  it('may be there before the first start, such as one that the operator made', async () => {
    const id = (await folder.source.create()).id;
    await useKeyring();
    expect(masterKeyId()).toBe(id);
  });

  it('is one, even when several processes start for the first time at once', async () => {
    const others = [openSqliteRecords(folder.recordsFile), openSqliteRecords(folder.recordsFile)];
    const started = await Promise.allSettled(
      [folder.records, ...others].map(async (records) =>
        openKeyring({ records: records.keyring, sources: [fileMasterKeys(folder.masterKeyFile)], clock: systemClock }),
      ),
    );
    for (const records of others) await records[Symbol.asyncDispose]();
    expect(started.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
    expect(folder.query("SELECT count(*) AS number FROM master_keys WHERE state = 'current'")).toEqual([{ number: 1 }]);
    await useKeyring();
  });

  it.each([
    ['readable by others', { mode: 0o644 }, /chmod 600/],
    ['damaged', { content: 'soulbox-master-key-1 file:0000000000000000 AAAA\n' }, /Line 1 of .* is not a master key/],
    [
      'a key with a foreign id',
      { content: `soulbox-master-key-1 file:0000000000000000 ${'A'.repeat(43)}\n` },
      /Line 1/,
    ],
    ['huge', { content: '#'.repeat(100_000) }, /is not a file of keys/],
  ])(
    'is refused in a file that is %s',
    async (_, { mode = 0o600, content }: { mode?: number; content?: string }, message) => {
      await useKeyring();
      const text = content ?? (await readFile(folder.masterKeyFile, 'utf8'));
      await rm(folder.masterKeyFile);
      await writeFile(folder.masterKeyFile, text, { mode });
      await expect(open()).rejects.toMatchObject({ reason: 'config_invalid' });
      await expect(open()).rejects.toThrow(message);
    },
  );
});
