import { randomBytes } from 'node:crypto';
import { Secret, SoulBoxError } from '@soulbox/base';
import type { BlobRootKeyRecords } from '@soulbox/storage';
import { keyBytes } from '../gcm.ts';
import type { Keyring } from '../keyring.ts';
import type { Place } from '../place.ts';
import type { RootKey } from './blob-format.ts';

const idBytes = 16;
const placeOfRootKey = (id: string): Place => ({ table: 'blob_root_keys', row: id, field: 'key', team: '' });

/**
 * The root key of the blobs, encrypted by the keyring in the records. The first start creates it. It stays in memory,
 * because functions must be able to read their values while a hardware module is away. Throws `state_damaged` for one
 * that was altered, and `master_key_missing`.
 */
export async function openRootKey(
  records: BlobRootKeyRecords,
  keyring: Keyring,
  now: number,
): Promise<RootKey & Disposable> {
  if ((await records.find()) === undefined) {
    const id = randomBytes(idBytes).toString('hex');
    const sealedKey = await keyring.seal(new Secret(randomBytes(keyBytes).toString('base64')), placeOfRootKey(id));
    await records.add({ id, sealedKey, createdAt: now });
  }
  const stored = await records.find();
  if (stored === undefined) throw new SoulBoxError('internal', 'The root key of the blobs could not be stored.');
  const key = Buffer.from((await keyring.open(stored.sealedKey, placeOfRootKey(stored.id))).reveal(), 'base64');
  if (key.length !== keyBytes)
    throw new SoulBoxError('state_damaged', `The root key ${stored.id} of the blobs does not have ${keyBytes} bytes.`);
  return {
    id: stored.id,
    key,
    [Symbol.dispose]() {
      key.fill(0);
    },
  };
}
