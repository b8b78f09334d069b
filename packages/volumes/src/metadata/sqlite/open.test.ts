import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree } from '@soulbox/base';
import { FuseError } from '@soulbox/fuse';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createBatch } from './batch.ts';
import { createSqliteMetadata } from './create.ts';
import { migrate } from './migrate.ts';
import { migrations } from './migrations.ts';
import { openSqliteMetadata } from './open.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'soulbox-metadata-'));
  path = join(folder, 'metadata.sqlite');
});
afterEach(() => removeTree(folder));

const now = { sec: 1, nsec: 0 };
const options = { now: () => now, freed: () => undefined, makeRoom: () => false };
const make = (): void => {
  createSqliteMetadata(path, {
    ...{ id: 'v', quota: { bytes: undefined, inodes: undefined }, now },
    root: { uid: 0, gid: 0, mode: 0o755 },
  });
};

test('metadata of a newer version are refused, and not changed', () => {
  make();
  const db = new DatabaseSync(path);
  db.exec(`PRAGMA user_version = ${migrations.length + 1}`);
  db.close();
  expect(() => openSqliteMetadata(path, options)).toThrow(
    expect.objectContaining({ reason: 'config_invalid', message: expect.stringContaining('newer') as string }) as Error,
  );
});

test('of a volume of an earlier version, all that an earlier generation has may be shared', () => {
  const db = new DatabaseSync(path);
  migrate(db, path, migrations.slice(0, 2));
  db.exec(`INSERT INTO volume (only, id, commit_number, generation, is_read_only, next_ino, next_seq, used_bytes,
    used_inodes) VALUES (1, 'v', 9, 5, 0, 2, 3, 0, 1)`);
  migrate(db, path);
  expect(db.prepare('SELECT generation, shared_generation, change_number FROM volume').get()).toEqual({
    ...{ generation: 5, shared_generation: 4, change_number: 9 },
  });
  db.close();
});

test('a step of a migration that fails undoes all of them', () => {
  make();
  const db = new DatabaseSync(path);
  expect(() => {
    migrate(db, path, [...migrations, 'CREATE TABLE later (a)', 'nonsense']);
  }).toThrow(/syntax error/);
  expect(db.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'later'").get()).toEqual({ n: 0 });
  migrate(db, path, [...migrations, 'CREATE TABLE later (a)']);
  expect(db.prepare('PRAGMA user_version').get()).toEqual({ user_version: migrations.length + 1 });
  db.close();
});

test('a volume is made once, for its owner alone, and only one that was made is opened', async () => {
  expect(() => openSqliteMetadata(path, options)).toThrow(
    expect.objectContaining({ reason: 'file_not_found' }) as Error,
  );
  make();
  expect(make).toThrow(expect.objectContaining({ reason: 'file_exists' }) as Error);
  await using metadata = openSqliteMetadata(path, options);
  expect(await metadata.find(1)).toMatchObject({ nlink: 2, mode: 0o040755 });
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('a process that is killed while it makes volumes leaves whole ones, or none', async () => {
  const script = `
    import { createSqliteMetadata } from ${JSON.stringify(new URL('create.ts', import.meta.url).href)};
    const root = { uid: 0, gid: 0, mode: 0o755 };
    process.stdout.write('ready');
    for (let n = 0; ; n += 1)
      createSqliteMetadata(process.argv[1] + '/' + n, { id: 'v', quota: {}, root, now: { sec: 1, nsec: 0 } });`;
  const made = (): string[] => readdirSync(folder).filter((name) => /^\d+$/.test(name));
  for (let round = 0; round < 4; round += 1) {
    const flags = ['--conditions=soulbox-source', '--input-type=module', '-e', script, folder];
    const child = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    while (made().length === 0) await sleep(1);
    await sleep(Math.random() * 40);
    child.kill('SIGKILL');
    await once(child, 'exit');
    for (const name of made()) {
      await using metadata = openSqliteMetadata(join(folder, name), options);
      expect(await metadata.find(1)).toMatchObject({ nlink: 2 });
    }
    // The volume that was cut off can be made again.
    path = join(folder, String(made().length));
    make();
    for (const name of readdirSync(folder)) rmSync(join(folder, name));
  }
});

test.each([
  ['empty', ''],
  ['no database', 'this is no database'],
])('metadata that are %s are refused as damaged', (_what, content) => {
  writeFileSync(path, content);
  expect(() => openSqliteMetadata(path, options)).toThrow(
    expect.objectContaining({ reason: 'volume_damaged' }) as Error,
  );
});

test('the log is written back to the database while changes go on, and does not grow without end', async () => {
  make();
  await using metadata = openSqliteMetadata(path, options);
  const change = async (rounds: number): Promise<void> => {
    for (let round = 0; round < rounds; round += 1)
      await metadata.setXattr(1, Buffer.from('user.a'), Buffer.alloc(2000, round), 'set');
  };
  let largest = 0;
  for (let round = 0; round < 4; round += 1) {
    // A sync in the middle of other changes, which have a transaction open.
    const syncing = metadata.sync();
    await Promise.all([change(1600), syncing]);
    await Promise.all([metadata.sync(), change(1)]);
    largest = Math.max(largest, statSync(`${path}-wal`).size);
    if (round === 0) largest *= 1.2;
  }
  expect(statSync(`${path}-wal`).size).toBeLessThan(largest + 1);
});

test('works of one turn are one transaction, of which only the failed ones change nothing', async () => {
  const db = new DatabaseSync(path);
  db.exec('CREATE TABLE t (a INTEGER PRIMARY KEY)');
  const insert = db.prepare('INSERT INTO t VALUES (?)');
  let [commits, rollbacks, rooms] = [0, 0, 0];
  const batch = createBatch(db, {
    beforeCommit: () => undefined,
    afterCommit: () => (commits += 1),
    afterRollback: () => (rollbacks += 1),
    makeRoom: () => (rooms += 1) < 3,
  });
  const count = (): number => Number(db.prepare('SELECT count(*) AS n FROM t').get()?.['n']);
  const outcomes = await Promise.allSettled([
    batch.run(() => insert.run(1)),
    batch.run(() => {
      throw new FuseError('EEXIST');
    }),
    batch.run(() => insert.run(2)),
  ]);
  expect([outcomes.map(({ status }) => status), commits, count()]).toEqual([
    ['fulfilled', 'rejected', 'fulfilled'],
    1,
    2,
  ]);
  // A fault of the database undoes all, and is told to all.
  const failed = await Promise.allSettled([batch.run(() => insert.run(3)), batch.run(() => insert.run(1))]);
  expect([failed.map(({ status }) => status), rollbacks, count()]).toEqual([['rejected', 'rejected'], 1, 2]);
  // A full disk is tried again as long as there is room to release.
  const full = (): never => {
    throw Object.assign(new Error('full'), { code: 'ERR_SQLITE_ERROR', errcode: 13 });
  };
  const repeated = batch.run(() => (rooms < 2 ? full() : insert.run(4)));
  await repeated;
  expect([rooms, count()]).toEqual([2, 3]);
  await expect(batch.run(full)).rejects.toMatchObject({ code: 'ENOSPC' });
  db.close();
});
