import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureDefaultTeam, openSqliteRecords } from '@soulbox/storage';
import type { Records, TeamRecord } from '@soulbox/storage';

/** Opens the records of a data folder beside a running server (SQLite in WAL mode allows it), and its default team. */
export async function openRecords(dataDirectory: string): Promise<{ records: Records; team: TeamRecord }> {
  await mkdir(dataDirectory, { recursive: true, mode: 0o700 });
  const records = openSqliteRecords(join(dataDirectory, 'records.sqlite'));
  return { records, team: await ensureDefaultTeam(records) };
}
