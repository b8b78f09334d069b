import { randomBytes } from 'node:crypto';
import { Secret, SoulBoxError } from '@soulbox/base';
import type { BlobRootKeyRecords, BlobStore } from '@soulbox/storage';
import { keyBytes } from '../gcm.ts';
import type { Keyring } from '../keyring.ts';
import type { Place } from '../place.ts';
import { isSealedHead, rootIdOf } from './blob-format.ts';
import type { RootKey, SealedStore } from './blob-format.ts';
import { readHead } from './read-head.ts';

const idBytes = 16;
const placeOfRootKey = (id: string): Place => ({ table: 'blob_root_keys', row: id, field: 'key', team: '' });

/** Blobs whose heads are read at the same time. */
const openAtOnce = 32;

interface RootKeyOptions {
  readonly now: number;
  /** The stores below those that encrypt. */
  readonly stores: Readonly<Partial<Record<SealedStore, Pick<BlobStore, 'list' | 'read'>>>>;
}

/**
 * The root key of the blobs, encrypted by the keyring in the records. The first start creates it. It stays in memory,
 * because functions must be able to read their values while a hardware module is away. Throws `state_damaged` for one
 * that was altered, and `master_key_missing`, also when the records have none but a blob is encrypted with one: a new
 * one would make every such blob unreadable without a word.
 */
export async function openRootKey(
  records: BlobRootKeyRecords,
  keyring: Keyring,
  { now, stores }: RootKeyOptions,
): Promise<RootKey & Disposable> {
  if ((await records.find()) === undefined) {
    await refuseSealed(stores);
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

/** Throws for the first blob that is encrypted. */
async function refuseSealed(stores: RootKeyOptions['stores']): Promise<void> {
  for (const [store, blobs] of Object.entries(stores)) {
    const found = await blobs.list('');
    for (let at = 0; at < found.length; at += openAtOnce)
      await Promise.all(
        found.slice(at, at + openAtOnce).map(async ({ key }) => {
          const head = await readHead(blobs, key);
          if (isSealedHead(head)) throw rootKeyMissing(`${store}/${key}`, rootIdOf(head));
        }),
      );
  }
}

function rootKeyMissing(file: string, id: string): SoulBoxError {
  return new SoulBoxError(
    'master_key_missing',
    `The root key of the blobs is missing in the records, but ${file} is encrypted with the root key ${id}. Put the newest records back, for example from a backup. To continue without the stored uploads and functions, see docs/secrets.md, "When the key is lost or wrong". Nothing was changed.`,
  );
}
