import { randomBytes } from 'node:crypto';
import { SoulBoxError } from '@soulbox/base';
import type { DataKeyRecord, KeyringRecords } from '@soulbox/storage';
import { keyBytes } from './gcm.ts';
import type { MasterKey, MasterKeySource } from './master-key.ts';
import { dataKeyIdBytes } from './sealed-text.ts';
import { findMasterKey } from './sources.ts';

/** How often a rotation in another process may come between two of our steps. */
const attempts = 5;

/** The context of a wrapped data key. */
export const contextOf = (dataKeyId: string): string => `soulbox data key ${dataKeyId}`;

/** Unwraps a data key. Throws `state_damaged` for one that is not in the records, `master_key_missing`. */
export async function loadDataKey(
  records: KeyringRecords,
  sources: readonly MasterKeySource[],
  id: string,
): Promise<Buffer> {
  for (let attempt = 1; ; attempt++) {
    const record = await records.findDataKey(id);
    if (record === undefined) throw unreadable(`The records have no data key ${id}.`);
    try {
      return await unwrapDataKey(sources, record);
    } catch (error) {
      // A rotation may have replaced the wrapping, and then have removed the old master key.
      const isSame = (await records.findDataKey(id))?.wrapped === record.wrapped;
      if (isSame || attempt === attempts) throw error;
    }
  }
}

export async function unwrapDataKey(sources: readonly MasterKeySource[], record: DataKeyRecord): Promise<Buffer> {
  using master = await findMasterKey(sources, record.masterKeyId);
  return await unwrapWith(master, record);
}

/** The caller overwrites the result after use. */
export async function unwrapWith(master: MasterKey, record: DataKeyRecord): Promise<Buffer> {
  const key = await master.unwrap(Buffer.from(record.wrapped, 'base64url'), contextOf(record.id));
  if (key.length === keyBytes) return key;
  throw unreadable(`The data key ${record.id} does not have ${keyBytes} bytes.`);
}

/** Creates a data key under the current master key, with `claimed` values reserved. Returns its id. */
export async function addDataKey(
  records: KeyringRecords,
  sources: readonly MasterKeySource[],
  claimed: number,
  now: number,
): Promise<string> {
  const id = randomBytes(dataKeyIdBytes).toString('hex');
  // Not from the pool of small buffers, which others read.
  const key = Buffer.alloc(keyBytes, randomBytes(keyBytes));
  try {
    for (let attempt = 1; attempt <= attempts; attempt++) {
      const current = (await records.listMasterKeys()).find(({ state }) => state === 'current');
      if (current === undefined) break;
      using master = await findMasterKey(sources, current.id);
      const wrapped = (await master.wrap(key, contextOf(id))).toString('base64url');
      if (await records.addDataKey({ id, masterKeyId: master.id, wrapped, claimed, createdAt: now })) return id;
    }
  } finally {
    key.fill(0);
  }
  throw new SoulBoxError('internal', 'No data key could be created, because the master key changed again and again.');
}

function unreadable(message: string): SoulBoxError {
  return new SoulBoxError('state_damaged', `${message} Values that it encrypted cannot be read.`);
}
