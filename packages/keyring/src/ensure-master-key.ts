import { SoulBoxError } from '@soulbox/base';
import type { KeyringRecords } from '@soulbox/storage';
import { unwrapDataKey } from './data-keys.ts';
import type { MasterKey, MasterKeySource } from './master-key.ts';
import { findMasterKey } from './sources.ts';

/**
 * Checks that every master key that the records need is there and is the right one. Records without any get one of the
 * first source: a key that is already there, such as the operator's, otherwise a new one. Throws `master_key_missing`.
 */
export async function ensureMasterKey(
  records: KeyringRecords,
  sources: readonly [MasterKeySource, ...MasterKeySource[]],
  now: number,
): Promise<void> {
  const known = await records.listMasterKeys();
  if (known.length === 0) {
    using key = await firstKey(sources[0]);
    // Another process may have been faster; then its key is checked.
    if (await records.switchMasterKey(key.id, undefined, now)) return;
  }
  for (const { id, state } of await records.listMasterKeys()) {
    const sample = await records.findDataKeyOf(id);
    if (state === 'current') (await findMasterKey(sources, id))[Symbol.dispose]();
    if (sample === undefined) continue;
    (await unwrapSample(sources, sample)).fill(0);
  }
}

async function firstKey(source: MasterKeySource): Promise<MasterKey> {
  const present = await source.findUnused([]);
  if (present !== undefined) return present;
  try {
    return await source.create();
  } catch (error) {
    // Another process has just created it.
    const created =
      error instanceof SoulBoxError && error.reason === 'file_exists' ? await source.findUnused([]) : undefined;
    if (created === undefined) throw error;
    return created;
  }
}

async function unwrapSample(...[sources, sample]: Parameters<typeof unwrapDataKey>): Promise<Buffer> {
  try {
    return await unwrapDataKey(sources, sample);
  } catch (cause) {
    if (!(cause instanceof SoulBoxError) || cause.reason !== 'state_damaged') throw cause;
    throw new SoulBoxError(
      'master_key_missing',
      `The master key ${sample.masterKeyId} is there, but cannot unwrap the data key ${sample.id}: it is another key of the same name, or the records are damaged. Put the right key or the right records back (docs/secrets.md).`,
      { cause },
    );
  }
}
