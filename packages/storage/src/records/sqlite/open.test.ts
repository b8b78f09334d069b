import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeAudit } from '../../conformance/audit.ts';
import { describeBuilds } from '../../conformance/builds.ts';
import { createApiKey, ensureDefaultTeam } from '../first-start.ts';
import { describeFunctions } from '../../conformance/functions.ts';
import { describeHistory } from '../../conformance/history.ts';
import { describeKv } from '../../conformance/kv.ts';
import { describeQuotas } from '../../conformance/quotas.ts';
import { describePeople } from '../../conformance/people.ts';
import { describeRecords } from '../../conformance/records.ts';
import { describeConnections } from '../../conformance/connections.ts';
import { describeIdentityKeys } from '../../conformance/identity-keys.ts';
import { describeSigning } from '../../conformance/signing.ts';
import { describeSecrets } from '../../conformance/secrets.ts';
import { describeVolumes } from '../../conformance/volumes.ts';
import { describeBuckets } from '../../conformance/buckets.ts';
import { describeSnapshots } from '../../conformance/snapshots.ts';
import { listQuery } from '../../conformance/facts.ts';
import { checkSqliteSchema } from './check-schema.ts';
import { migrate } from './migrate.ts';
import { migrations } from './migrations.ts';
import { newRecordsFile } from '../../testing/new-records-file.ts';
import { openSqliteRecords } from './open.ts';

/** Migrations before the one that stores the metadata of events only once. */
const eventMetadataStep = migrations.findIndex((step) => step.includes('CREATE TABLE event_metadata'));

/** Migrations before the one after which secrets name hosts. */
const secretHostsStep = migrations.findIndex((step) => step.includes('ALTER TABLE secrets ADD COLUMN hosts'));

const openIn = (folder: string) => {
  const path = join(folder, 'records.sqlite');
  if (!existsSync(path)) newRecordsFile(path);
  return Promise.resolve(openSqliteRecords(path));
};
describeRecords('SQLite', openIn);
describeSnapshots('SQLite', openIn);
describeHistory('SQLite', openIn);
describeBuilds('SQLite', openIn);
describeFunctions('SQLite', openIn);
describeKv('SQLite', openIn);
describeSigning('SQLite', openIn);
describeConnections('SQLite', openIn);
describeIdentityKeys('SQLite', openIn);
describeSecrets('SQLite', openIn);
describeVolumes('SQLite', openIn);
describeBuckets('SQLite', openIn);
describeQuotas('SQLite', openIn);
describeAudit('SQLite', openIn);
describePeople('SQLite', openIn);

describe('opening a records file', () => {
  let folder: string;
  let path: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'soulbox-records-'));
    path = join(folder, 'records.sqlite');
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('refuses a schema that a newer SoulBox wrote, and does not change the file', async () => {
    await openSqliteRecords(path)[Symbol.asyncDispose]();
    const db = new DatabaseSync(path);
    db.exec('INSERT INTO migrations (number, applied_at) VALUES (999, 0)');
    db.close();
    expect(() => checkSqliteSchema(path)).toThrow(/schema version 999/);
    expect(() => openSqliteRecords(path)).toThrow(/schema version 999/);
    expect(() => openSqliteRecords(path)).toThrow(expect.objectContaining({ reason: 'config_invalid' }) as Error);
  });

  it('migrates secrets from before they named hosts', async () => {
    const db = new DatabaseSync(path);
    migrate(db, migrations.slice(0, secretHostsStep));
    db.exec(`INSERT INTO teams VALUES ('t1', 'default', 1, 1);
             INSERT INTO secrets VALUES ('s1', 't1', 'old', 1, '{"k":"v"}', 2, 3)`);
    db.close();
    await using records = openSqliteRecords(path);
    const times = { createdAt: 2, updatedAt: 3 };
    const secret = {
      id: 's1',
      teamId: 't1',
      name: 'old',
      currentVersion: 1,
      metadata: { k: 'v' },
      hosts: [],
      ...times,
    };
    expect(await records.secrets.findByName('t1', 'old')).toEqual(secret);
  });

  it('checks the schema without changing anything, even while a server runs', async () => {
    checkSqliteSchema(path);
    expect(await readdir(folder)).toEqual([]);
    const db = new DatabaseSync(path);
    migrate(db, migrations.slice(0, 1));
    checkSqliteSchema(path);
    expect(db.prepare('SELECT max(number) AS number FROM migrations').get()?.['number']).toBe(1);
    db.close();
    await using _ = openSqliteRecords(path);
    checkSqliteSchema(path);
    await writeFile(path, 'no records file');
    checkSqliteSchema(path);
  });

  it('migrates a file of the first version, with running and ended sandboxes', async () => {
    const db = new DatabaseSync(path);
    migrate(db, migrations.slice(0, 1));
    db.exec(`
      INSERT INTO teams VALUES ('t1', 'default', 1, 1);
      INSERT INTO creations VALUES ('c1', 't1', 'tbase', 5);
      INSERT INTO sandboxes VALUES
        ('ia', 't1', 'tbase', 'base', '{"k":"v"}', 7, 900, 2, 1024, 10240, '0.6.13', '{"allowOut":[],"denyOut":[]}',
         '{"autoResume":false,"onTimeout":"kill"}', 'running', NULL, NULL),
        ('ib', 't1', 'tbase', 'base', '{}', 8, 900, 2, 1024, 10240, '0.6.13', '{"allowOut":[],"denyOut":[]}',
         '{"autoResume":false,"onTimeout":"kill"}', 'ended', 50, 'timeout');`);
    db.close();
    await using records = openSqliteRecords(path);
    expect(await records.sandboxes.find('ia')).toMatchObject({
      ...{ metadata: { k: 'v' }, state: 'running', cause: 'request', stateSince: 7, executionStartedAt: 7 },
      lifecycle: { autoResume: false, onTimeout: 'kill', idleTimeoutSeconds: 0 },
      ...{ createdBy: '', creationId: '', volumes: [] },
    });
    // The intent of a version that did not know its memory counts as 0.
    expect(await records.quotas.readRunningMemoryMb('t1', 0)).toBe(1024);
    expect((await records.quotas.findLimits('t1')).size).toBe(0);
    expect(await records.sandboxes.find('ib')).toMatchObject({ state: 'ended', cause: 'timeout', stateSince: 50 });
    expect((await records.sandboxes.list(listQuery('t1'))).sandboxes.map((row) => row.id)).toEqual(['ia']);
    expect(await records.sandboxes.clearCreations()).toBe(1);
  });

  it('migrates the keys of a file from before keys had an isolation', async () => {
    const step = migrations.findIndex((sql) => sql.includes('api_keys ADD COLUMN isolation'));
    const db = new DatabaseSync(path);
    migrate(db, migrations.slice(0, step));
    db.exec(`
      INSERT INTO teams VALUES ('t1', 'default', 1, 1);
      INSERT INTO api_keys VALUES ('k1', 't1', 'old', 'aa', 'e2b_', 40, 'ab', 'cdef', 5, 6);`);
    db.close();
    await using records = openSqliteRecords(path);
    const old = await records.apiKeys.find('t1', 'k1');
    expect(old).toMatchObject({ id: 'k1', name: 'old', isolation: '', createdAt: 5, lastUsedAt: 6 });
    const { key, record } = await createApiKey(records, { id: 't1' }, 'new', { isolation: 'gvisor' });
    expect((await records.apiKeys.list('t1')).map(({ isolation }) => isolation)).toEqual(['', 'gvisor']);
    expect(await records.apiKeys.findByValue(key.reveal())).toEqual(record);
  });

  it('migrates the events of a file that stored the metadata with each event', async () => {
    const db = new DatabaseSync(path, { enableForeignKeyConstraints: true });
    migrate(db, migrations.slice(0, eventMetadataStep));
    db.exec(`INSERT INTO teams VALUES ('t1', 'default', 1, 1)`);
    const insert = db.prepare(
      `INSERT INTO events (id, team_id, sandbox_id, template_id, execution_id, type, at, cause, metadata)
       VALUES (?, 't1', ?, 'tbase', 'x', 'sandbox.lifecycle.updated', ?, 'request', ?)`,
    );
    const carried = ['a', 'a', 'b', 'a', 'b'];
    for (const [n, value] of carried.entries()) {
      insert.run(`one${n}`, 'ia', n, JSON.stringify({ k: value }));
      insert.run(`two${n}`, 'ib', n, JSON.stringify({ k: value }));
    }
    db.close();
    await using records = openSqliteRecords(path);
    const query = { teamId: 't1', types: [], after: 0, order: 'asc', offset: 0, limit: 100, maxChars: 1e9 } as const;
    const read = async () => (await records.events.list({ ...query, sandboxId: 'ia' })).events;
    expect((await read()).map(({ metadata }) => metadata['k'])).toEqual(carried);
    const count = (): unknown => {
      const reader = new DatabaseSync(path, { readOnly: true });
      const row = reader.prepare('SELECT count(*) AS n FROM event_metadata').get();
      reader.close();
      return row?.['n'];
    };
    expect(count()).toBe(4);
    expect(await records.events.purge(3, 100)).toBe(6);
    expect((await read()).map(({ metadata }) => metadata['k'])).toEqual(['a', 'b']);
    expect(count()).toBe(4);
    expect(await records.events.purge(100, 100)).toBe(4);
    expect(count()).toBe(0);
  });

  it('does not change a file whose migration to this version fails halfway', async () => {
    const db = new DatabaseSync(path);
    migrate(db, migrations.slice(0, 1));
    expect(() => migrate(db, [migrations[0] ?? '', 'CREATE TABLE half (id TEXT); nonsense'])).toThrow(/nonsense/);
    expect(db.prepare("SELECT count(*) AS n FROM sqlite_master WHERE name = 'half'").get()).toEqual({ n: 0 });
    db.close();
    await using records = openSqliteRecords(path);
    expect(await records.teams.list()).toEqual([]);
  });

  it('refuses a file that is not a database, and a folder that does not exist', async () => {
    await writeFile(path, 'not a database, but long enough to be looked at as one'.repeat(100));
    expect(() => openSqliteRecords(path)).toThrow(/cannot be opened/);
    expect(() => openSqliteRecords(join(folder, 'missing', 'records.sqlite'))).toThrow(/cannot be opened/);
  });

  it('makes the file and those beside it private to its owner, even if they were open to others', async () => {
    const modes = async (): Promise<string[]> =>
      await Promise.all(
        (await readdir(folder)).map(
          async (name) => `${name} ${((await stat(join(folder, name))).mode & 0o777).toString(8)}`,
        ),
      );
    const files = ['records.sqlite 600', 'records.sqlite-shm 600', 'records.sqlite-wal 600'];
    const umask = process.umask(0);
    try {
      await using first = openSqliteRecords(path);
      await ensureDefaultTeam(first);
      expect((await modes()).sort()).toEqual(files);
      for (const name of await readdir(folder)) await chmod(join(folder, name), 0o644);
      await using second = openSqliteRecords(path);
      await ensureDefaultTeam(second);
      expect((await modes()).sort()).toEqual(files);
    } finally {
      process.umask(umask);
    }
  });

  it('lets two processes share it: a key created by one is seen by the other', async () => {
    await using first = openSqliteRecords(path);
    await using second = openSqliteRecords(path);
    const team = await ensureDefaultTeam(first);
    expect(await ensureDefaultTeam(second)).toEqual(team);
  });

  it('can be disposed twice', async () => {
    const records = openSqliteRecords(path);
    await records[Symbol.asyncDispose]();
    await records[Symbol.asyncDispose]();
  });

  it('keeps what was written before a kill -9, in the middle of writing', async () => {
    const program = `
      import { openSqliteRecords } from ${JSON.stringify(new URL('open.ts', import.meta.url).href)};
      const records = openSqliteRecords(${JSON.stringify(path)});
      for (let n = 0; ; n++) {
        await records.teams.create({ id: 't' + n, name: 'n', isDefault: false, createdAt: n });
        if (n === 50) process.stdout.write('ready');
        await new Promise(setImmediate);
      }`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await once(child.stdout, 'data');
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await using records = openSqliteRecords(path);
    const teams = await records.teams.list();
    expect(teams.length).toBeGreaterThan(50);
    expect(teams.map((team) => team.id)).toEqual(teams.map((_, index) => `t${index}`));
  });
});
