import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { migrate } from '../records/sqlite/migrate.ts';

let bytes: Buffer | undefined;

/**
 * Writes an empty records file with the present schema, as the first start of a server does. Its migrations run once per
 * process: tests open hundreds of records, and the migrations are half of the time that each takes.
 */
export function newRecordsFile(path: string): void {
  bytes ??= makeBytes();
  writeFileSync(path, bytes, { flag: 'wx', mode: 0o600 });
}

function makeBytes(): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'soulbox-new-records-'));
  try {
    const path = join(folder, 'records.sqlite');
    const db = new DatabaseSync(path);
    db.exec('PRAGMA journal_mode = WAL');
    migrate(db);
    db.close();
    return readFileSync(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
