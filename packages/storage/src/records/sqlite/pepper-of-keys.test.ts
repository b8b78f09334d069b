import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApiKey, ensureDefaultTeam } from '../first-start.ts';
import { migrateBefore } from '../../testing/migrate-before.ts';
import { openSqliteRecords } from './open.ts';

const oldKey = 'e2b_abcdef0123456789abcdef0123456789abcdef01';
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

let folder: string;
let path: string;
let pepperFile: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-pepper-'));
  path = join(folder, 'records.sqlite');
  pepperFile = join(folder, 'secrets', 'key-pepper');
});
afterEach(() => rm(folder, { recursive: true }));

/** The records as the version before the pepper left them, with one key. */
function writeOldRecords(): void {
  const db = new DatabaseSync(path);
  migrateBefore(db, 'ADD COLUMN pepper_id');
  db.exec(`INSERT INTO teams VALUES ('t1', 'default', 1, 1)`);
  db.prepare(`INSERT INTO api_keys VALUES ('k1', 't1', 'old', ?, 'e2b_', 40, 'ab', 'ef01', 5, 6, 'gvisor')`).run(
    sha256(oldKey),
  );
  db.close();
}

function storedHashes(): string[] {
  const db = new DatabaseSync(path, { readOnly: true });
  const hashes = db.prepare('SELECT hash FROM api_keys').all();
  db.close();
  return hashes.map((row) => String(row['hash']));
}

describe('the pepper of API keys', () => {
  it('is created with the first key, for the owner of the folder only, and stays', async () => {
    await using records = openSqliteRecords(path);
    const team = await ensureDefaultTeam(records);
    await expect(stat(pepperFile)).rejects.toThrow('ENOENT');
    const { key } = await createApiKey(records, team, 'one');
    expect((await stat(pepperFile)).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'secrets'))).mode & 0o777).toBe(0o700);
    await using again = openSqliteRecords(path);
    await createApiKey(again, team, 'two');
    expect((await again.apiKeys.findByValue(key.reveal()))?.name).toBe('one');
    expect(storedHashes()).not.toContain(sha256(key.reveal()));
  });

  it('is the same for two processes that need it first at the same time', async () => {
    await using one = openSqliteRecords(path);
    await using two = openSqliteRecords(path);
    const team = await ensureDefaultTeam(one);
    const [first, second] = await Promise.all([createApiKey(one, team, '1'), createApiKey(two, team, '2')]);
    expect((await one.apiKeys.findByValue(second.key.reveal()))?.name).toBe('2');
    expect((await two.apiKeys.findByValue(first.key.reveal()))?.name).toBe('1');
  });

  it('seals the plain hashes of an earlier version, whose keys go on working with all scopes', async () => {
    writeOldRecords();
    for (let start = 0; start < 2; start++) {
      await using records = openSqliteRecords(path);
      expect(await records.apiKeys.findByValue(oldKey)).toMatchObject({
        ...{ id: 'k1', name: 'old', isolation: 'gvisor', createdAt: 5, lastUsedAt: 6 },
        ...{ scopes: ['create', 'run', 'read', 'admin'], role: undefined, templates: [], expiresAt: undefined },
      });
      expect(await records.apiKeys.findByValue(`${oldKey.slice(0, -5)}0ef01`)).toBeUndefined();
    }
    expect(storedHashes()).not.toContain(sha256(oldKey));
  });

  it('is not replaced while keys need it: without it nothing is valid, and the message says what to do', async () => {
    let key: string;
    let id: string;
    {
      await using records = openSqliteRecords(path);
      const made = await createApiKey(records, await ensureDefaultTeam(records), 'one');
      [key, id] = [made.key.reveal(), made.record.id];
    }
    await rm(pepperFile);
    await using records = openSqliteRecords(path);
    const team = await ensureDefaultTeam(records);
    const missing = {
      reason: 'config_invalid',
      message: expect.stringMatching(/key-pepper is missing, and 1/) as string,
    };
    await expect(records.apiKeys.findByValue(key)).rejects.toMatchObject(missing);
    await expect(createApiKey(records, team, 'two')).rejects.toMatchObject(missing);
    await expect(stat(pepperFile)).rejects.toThrow('ENOENT');
    expect(await records.apiKeys.remove(team.id, id)).toBe(true);
    const { key: next } = await createApiKey(records, team, 'three');
    expect((await records.apiKeys.findByValue(next.reveal()))?.name).toBe('three');
  });

  it('accepts no key of another pepper, and no plain hash that somebody wrote into the records', async () => {
    await using records = openSqliteRecords(path);
    const team = await ensureDefaultTeam(records);
    const { key } = await createApiKey(records, team, 'one');
    const db = new DatabaseSync(path);
    db.prepare('UPDATE api_keys SET hash = ?').run(sha256(key.reveal()));
    db.close();
    expect(await records.apiKeys.findByValue(key.reveal())).toBeUndefined();
    await writeFile(pepperFile, `${'A'.repeat(43)}\n`);
    await using others = openSqliteRecords(path);
    expect(await others.apiKeys.findByValue(key.reveal())).toBeUndefined();
  });

  it.each(['', '\n', 'short', 'A'.repeat(42), `${'A'.repeat(43)}=`, 'A'.repeat(44), `A${' '.repeat(41)}A`])(
    'is refused if its file contains %j, and the file is kept',
    async (text) => {
      await mkdir(join(folder, 'secrets'));
      await writeFile(pepperFile, text);
      await using records = openSqliteRecords(path);
      const team = await ensureDefaultTeam(records);
      await expect(createApiKey(records, team, 'one')).rejects.toMatchObject({ reason: 'config_invalid' });
      expect(await readFile(pepperFile, 'utf8')).toBe(text);
    },
  );

  it('leaves old records unchanged if it cannot be read', async () => {
    writeOldRecords();
    await mkdir(join(folder, 'secrets'));
    await writeFile(pepperFile, 'nonsense');
    expect(() => openSqliteRecords(path)).toThrow(/no pepper/);
    expect(storedHashes()).toEqual([sha256(oldKey)]);
  });
});
