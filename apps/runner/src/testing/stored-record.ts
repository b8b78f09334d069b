import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileKeyringRecords, fileMasterKeys, openKeyring } from '@soulbox/keyring';
import type { HostRecord } from '../registry/record.ts';
import { createRecordSeal } from '../registry/record-seal.ts';

/** The record of a sandbox in the data folder of a runner process of tests, with the keys of that folder. */
export async function readStoredRecord(dataDirectory: string, sandboxId: string): Promise<HostRecord> {
  using keyring = await openKeyring({
    records: fileKeyringRecords(join(dataDirectory, 'runner-keys.json')),
    sources: [fileMasterKeys(join(dataDirectory, 'secrets', 'master-key'))],
  });
  const content: unknown = JSON.parse(await readFile(join(dataDirectory, 'sandboxes', `${sandboxId}.json`), 'utf8'));
  return (await createRecordSeal(keyring).open('sandbox', sandboxId, content)) as HostRecord;
}
