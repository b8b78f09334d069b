import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { removeTree } from '@soulbox/base';
import { openSqliteRecords } from '@soulbox/storage';
import type { Records } from '@soulbox/storage';
import { newRecordsFile } from '@soulbox/storage/testing';
import { fileMasterKeys } from '../file/file-master-keys.ts';
import type { MasterKeySource } from '../master-key.ts';

/** Real records and a real file of master keys in a folder of their own. */
export interface KeyFolder extends AsyncDisposable {
  readonly path: string;
  readonly recordsFile: string;
  readonly masterKeyFile: string;
  readonly records: Records;
  readonly source: MasterKeySource;
  /** The rows as they stand in the file, so what is encrypted there is seen as such. */
  query(sql: string): Record<string, unknown>[];
}

export async function makeKeyFolder(): Promise<KeyFolder> {
  const path = await mkdtemp(join(tmpdir(), 'soulbox-keyring-'));
  const recordsFile = join(path, 'records.sqlite');
  const masterKeyFile = join(path, 'secrets', 'master-key');
  newRecordsFile(recordsFile);
  const records = openSqliteRecords(recordsFile);
  return {
    ...{ path, recordsFile, masterKeyFile, records },
    source: fileMasterKeys(masterKeyFile),
    query(sql) {
      const db = new DatabaseSync(recordsFile);
      try {
        return db.prepare(sql).all();
      } finally {
        db.close();
      }
    },
    async [Symbol.asyncDispose]() {
      await records[Symbol.asyncDispose]();
      await removeTree(path);
    },
  };
}
