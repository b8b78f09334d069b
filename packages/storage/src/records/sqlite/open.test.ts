import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensureDefaultTeam } from '../first-start.ts';
import { describeRecords } from '../records-contract.ts';
import { openSqliteRecords } from './open.ts';

describeRecords('SQLite', (folder) => Promise.resolve(openSqliteRecords(join(folder, 'records.sqlite'))));

describe('opening a records file', () => {
  let folder: string;
  let path: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'soulbox-records-'));
    path = join(folder, 'records.sqlite');
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('refuses a schema that a newer SoulBox wrote, and leaves the file alone', async () => {
    await openSqliteRecords(path)[Symbol.asyncDispose]();
    const db = new DatabaseSync(path);
    db.exec('INSERT INTO migrations (number, applied_at) VALUES (999, 0)');
    db.close();
    expect(() => openSqliteRecords(path)).toThrow(/schema version 999/);
    expect(() => openSqliteRecords(path)).toThrow(expect.objectContaining({ reason: 'config_invalid' }) as Error);
  });

  it('refuses a file that is no database, and a folder that does not exist', async () => {
    await writeFile(path, 'not a database, but long enough to be looked at as one'.repeat(100));
    expect(() => openSqliteRecords(path)).toThrow(/cannot be opened/);
    expect(() => openSqliteRecords(join(folder, 'missing', 'records.sqlite'))).toThrow(/cannot be opened/);
  });

  it('lets two processes share it: a key made by one is seen by the other', async () => {
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
