import { randomBytes } from 'node:crypto';
import { SoulBoxError } from '@soulbox/base';
import { decrypt, encrypt, keyBytes } from '../gcm.ts';
import type { MasterKey, MasterKeySource } from '../master-key.ts';
import { formatKeyLines, idOfKey, parseKeyLines } from './key-lines.ts';
import type { FileKey } from './key-lines.ts';
import { privateFile } from './private-file.ts';

export interface FileOptions {
  /** The path in messages. Default: the path. */
  readonly shownAs?: string;
  /** The operator made the file, so only keys for a rotation are added to it. Default: false. */
  readonly isOfOperator?: boolean;
}

/**
 * Master keys in a file (0600). It has one key, and two during a rotation. The file is read for each use, so that a
 * key is in memory for a moment only, and a rotation in another process is seen at once.
 */
export function fileMasterKeys(path: string, options: FileOptions = {}): MasterKeySource {
  const { shownAs = path, isOfOperator = false } = options;
  const file = privateFile(path, shownAs);

  const readKeys = async (): Promise<FileKey[]> => {
    const text = await file.read();
    return text === undefined ? [] : parseKeyLines(text, shownAs);
  };
  /** The newest key, which is the last line. Overwrites all others. */
  const pick = async (isWanted: (id: string) => boolean): Promise<MasterKey | undefined> => {
    const keys = await readKeys();
    const found = keys.findLast(({ id }) => isWanted(id));
    for (const entry of keys) if (entry !== found) entry.key.fill(0);
    return found === undefined ? undefined : masterKeyOf(found);
  };

  return {
    kind: 'file',
    where: shownAs,
    find: async (id) => await pick((present) => present === id),
    findUnused: async (known) => await pick((id) => !known.includes(id)),
    async create() {
      const keys = await readKeys();
      if (isOfOperator && keys.length === 0)
        throw new SoulBoxError(
          'config_invalid',
          `The file of master keys ${shownAs} is missing. Create it with "soulbox key create-master ${shownAs}".`,
        );
      const key = Buffer.alloc(keyBytes, randomBytes(keyBytes));
      const made = { id: idOfKey(key), key };
      await file.write(formatKeyLines([...keys, made]), { isNew: keys.length === 0 });
      for (const entry of keys) entry.key.fill(0);
      return masterKeyOf(made);
    },
    async remove(id) {
      const keys = await readKeys();
      const kept = keys.filter((entry) => entry.id !== id);
      if (kept.length < keys.length) await file.write(formatKeyLines(kept));
      for (const { key } of keys) key.fill(0);
      return true;
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** The wrapping: a byte for its version, then nonce, ciphertext and tag. */
const version = Buffer.from([1]);

/** Takes over the key. */
function masterKeyOf({ id, key }: FileKey): MasterKey {
  const associated = (context: string): Buffer => Buffer.from(`soulbox master key 1\0${id}\0${context}`, 'utf8');
  return {
    id,
    wrap: (plain, context) => Promise.resolve(Buffer.concat([version, encrypt(key, plain, associated(context))])),
    unwrap(wrapped, context) {
      const plain = wrapped[0] === version[0] ? decrypt(key, wrapped.subarray(1), associated(context)) : undefined;
      if (plain !== undefined) return Promise.resolve(plain);
      const message = `Something that the master key ${id} should have wrapped cannot be unwrapped with it.`;
      return Promise.reject(new SoulBoxError('state_damaged', message));
    },
    [Symbol.dispose]() {
      key.fill(0);
    },
  };
}

/** Creates a file with one new key. Returns the id of the key. Throws `file_exists`. */
export async function createMasterKeyFile(path: string): Promise<string> {
  const file = privateFile(path);
  const key = Buffer.alloc(keyBytes, randomBytes(keyBytes));
  const id = idOfKey(key);
  await file.write(formatKeyLines([{ id, key }]), { isNew: true });
  key.fill(0);
  return id;
}
