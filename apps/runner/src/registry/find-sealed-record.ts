import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError } from '@soulbox/base';
import { listRecords } from './newer-records.ts';
import { isSealed } from './record-seal.ts';

/** The path of an encrypted record in a data folder. Undefined: there is none. Needs no key. Ignores damaged ones. */
export async function findSealedRecord(dataDirectory: string): Promise<string | undefined> {
  for (const folder of ['sandboxes', 'snapshots', 'build-cache'])
    for (const path of await listRecords(join(dataDirectory, folder))) if (await isSealedFile(path)) return path;
  return undefined;
}

async function isSealedFile(path: string): Promise<boolean> {
  try {
    return isSealed(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    if (error instanceof SyntaxError || isNodeError(error)) return false;
    throw error;
  }
}
