import { SoulBoxError } from '@soulbox/base';
import { loadDataKey } from './data-keys.ts';
import type { FileKeyringRecords } from './file-records.ts';
import type { MasterKeySource } from './master-key.ts';

/**
 * Unwraps every data key of a file once, and changes nothing. False if there is no file. Throws `state_damaged` for a
 * key that is altered, naming it and `path`, and `master_key_missing`.
 */
export async function checkDataKeys(
  records: FileKeyringRecords,
  sources: readonly MasterKeySource[],
  path: string,
): Promise<boolean> {
  const dataKeys = await records.listDataKeys();
  for (const { id } of dataKeys ?? []) {
    const key = await loadDataKey(records, sources, id).catch((cause: unknown) => {
      if (!(cause instanceof SoulBoxError) || cause.reason !== 'state_damaged') throw cause;
      throw new SoulBoxError(
        'state_damaged',
        `The data key ${id} in ${path} is damaged, or its master key is another key of the same name. Put the right file back, for example from a backup (docs/secrets.md).`,
        { cause },
      );
    });
    key.fill(0);
  }
  return dataKeys !== undefined;
}
