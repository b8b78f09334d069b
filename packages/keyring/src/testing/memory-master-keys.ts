import { randomBytes } from 'node:crypto';
import { SoulBoxError } from '@soulbox/base';
import type { KeyringRecords } from '@soulbox/storage';
import { decrypt, encrypt } from '../gcm.ts';
import { openKeyring } from '../keyring.ts';
import type { Keyring } from '../keyring.ts';
import type { MasterKey, MasterKeySource } from '../master-key.ts';

/** Master keys that only this process has. */
export function memoryMasterKeys(): MasterKeySource {
  const keys = new Map<string, MasterKey>();
  return {
    kind: 'memory',
    where: 'the memory of this test',
    find: (id) => Promise.resolve(keys.get(id)),
    findUnused: () => Promise.resolve(undefined),
    create() {
      const key = memoryMasterKey(`memory:${keys.size + 1}`);
      keys.set(key.id, key);
      return Promise.resolve(key);
    },
    remove: (id) => Promise.resolve(keys.delete(id)),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function memoryMasterKey(id: string): MasterKey {
  const key = randomBytes(32);
  return {
    id,
    wrap: (plain, context) => Promise.resolve(encrypt(key, plain, Buffer.from(context))),
    unwrap(wrapped, context) {
      const plain = decrypt(key, wrapped, Buffer.from(context));
      return plain === undefined ? Promise.reject(new SoulBoxError('state_damaged', id)) : Promise.resolve(plain);
    },
    [Symbol.dispose]: () => undefined,
  };
}

/** A keyring for the records of a test. */
export async function openTestKeyring(records: { readonly keyring: KeyringRecords }): Promise<Keyring> {
  return await openKeyring({ records: records.keyring, sources: [memoryMasterKeys()] });
}
