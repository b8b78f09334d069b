import type { DatabaseSync } from 'node:sqlite';
import { SoulBoxError } from '@soulbox/base';
import { createKeyPepper, findKeyPepper } from './key-pepper.ts';
import type { KeyPepper } from './key-pepper.ts';
import { inTransaction } from './transaction.ts';

/**
 * The pepper of these records, read at the first use. It is created if no key needs another one. Throws
 * `config_invalid` if it is missing and keys need it: a new one would make them invalid without a word.
 */
export function pepperOfKeys(db: DatabaseSync, file: string): () => KeyPepper {
  const sealed = db.prepare("SELECT count(*) AS number FROM api_keys WHERE pepper_id <> ''");
  let known: KeyPepper | undefined;
  return () => {
    known ??= findKeyPepper(file);
    if (known !== undefined) return known;
    const count = Number(sealed.get()?.['number']);
    if (count > 0)
      throw new SoulBoxError(
        'config_invalid',
        `${file} is missing, and ${count} API keys cannot be checked without it. Restore it from a backup, ` +
          'or revoke all keys ("soulbox key list", "soulbox key revoke"); then a new one is created.',
      );
    known = createKeyPepper(file);
    return known;
  };
}

/** Replaces the plain hashes of an earlier version. Does nothing, and needs no pepper, if there are none. */
export function sealOldKeys(db: DatabaseSync, pepper: () => KeyPepper): void {
  const old = db.prepare("SELECT id, hash FROM api_keys WHERE pepper_id = ''");
  if (old.get() === undefined) return;
  const { id: pepperId, sealOldHash } = pepper();
  const seal = db.prepare("UPDATE api_keys SET hash = ?, pepper_id = ? WHERE id = ? AND pepper_id = ''");
  inTransaction(db, () => {
    for (const { id, hash } of old.all()) seal.run(sealOldHash(String(hash)), pepperId, String(id));
  });
}
