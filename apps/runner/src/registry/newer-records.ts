import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError } from '@soulbox/base';
import { refuseNewerRecord } from './record-files.ts';

/**
 * Throws `config_invalid` when a data folder has records of a newer version, with which this version cannot start.
 * Changes nothing. Ignores damaged records.
 */
export async function refuseNewerRecords(dataDirectory: string): Promise<void> {
  for (const folder of ['sandboxes', 'snapshots'])
    for (const path of await listRecords(join(dataDirectory, folder))) await refuseNewerRecord(path);
}

/** The paths of the records in a folder, which may be missing. */
export async function listRecords(directory: string): Promise<string[]> {
  try {
    const names = await readdir(directory);
    return names.filter((name) => name.endsWith('.json')).map((name) => join(directory, name));
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return [];
    throw error;
  }
}
