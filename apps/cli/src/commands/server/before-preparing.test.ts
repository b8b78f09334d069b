import { mkdir, mkdtemp, readdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findProcess, removeTree } from '@soulbox/base';
import { openSqliteRecords } from '@soulbox/storage';
import { runCli } from '../../testing/run-cli.ts';

// The number of a refused server. It starts nothing, so it need not belong to this file, but no other server may use
// it.
const refusedInstance = 14;
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cli-before-'));
});
afterEach(async () => await removeTree(directory));

/** A template would be built in the same folder. A start that is refused before that leaves no trace of it. */
async function expectRefused(words: RegExp): Promise<void> {
  const instance = ['--instance', String(refusedInstance)];
  const { code, stderr } = await runCli([
    'up',
    '--detach',
    '--port',
    '0',
    '--tls-port',
    '0',
    ...instance,
    '--data-dir',
    directory,
  ]);
  expect(code).toBe(1);
  expect(stderr).toMatch(words);
  expect(stderr).not.toContain('Building the base template');
  expect(await readdir(directory)).not.toContain('templates');
}

test('records of a newer version are reported before the host is prepared', async () => {
  await openSqliteRecords(join(directory, 'records.sqlite'))[Symbol.asyncDispose]();
  const db = new DatabaseSync(join(directory, 'records.sqlite'));
  db.exec('INSERT INTO migrations (number, applied_at) VALUES (999, 0)');
  db.close();
  await expectRefused(/schema version 999/);
});

test.each(['sandboxes', 'snapshots'])('%s of a newer version are reported too', async (folder) => {
  await mkdir(join(directory, folder));
  await writeFile(join(directory, folder, 'damaged.json'), '{');
  await writeFile(join(directory, folder, 'newer.json'), JSON.stringify({ formatVersion: 99 }));
  await expectRefused(/newer\.json was written by a newer SoulBox/);
});

test('another server with the instance number is reported too', async () => {
  const run = `/run/soulbox-${refusedInstance}`;
  await mkdir(run, { recursive: true });
  await writeFile(
    join(run, 'server.json'),
    JSON.stringify({ ...findProcess(process.pid), dataDirectory: '/srv/first' }),
  );
  try {
    await expectRefused(/data in \/srv\/first\) has instance number 14/);
  } finally {
    await rm(join(run, 'server.json'));
    // Other content belongs to others.
    await rmdir(run).catch(() => undefined);
  }
});
