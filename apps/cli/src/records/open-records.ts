import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureDefaultTeam, openDiskReserve, openSqliteRecords, recordsFileName } from '@soulbox/storage';
import type { Records } from '@soulbox/storage';

/**
 * Opens the records of a data folder, possibly beside a running server (SQLite in WAL mode allows it). Makes sure that
 * there is a default team. With `adds` it throws `disk_full` when there is no room for new data.
 */
export async function openRecords(
  dataDirectory: string,
  { adds }: { readonly adds: boolean },
): Promise<{ records: Records }> {
  await mkdir(dataDirectory, { recursive: true, mode: 0o700 });
  const reserve = openDiskReserve(join(dataDirectory, 'reserve'));
  if (adds) reserve.check();
  const records = openSqliteRecords(join(dataDirectory, recordsFileName), { reserve });
  await ensureDefaultTeam(records);
  return { records };
}
