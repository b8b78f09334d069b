import { createDecipheriv } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isNodeError, Secret, SoulBoxError } from '@soulbox/base';
import type { OldSubjectKey } from '@soulbox/storage';

const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

/** Opens the data key of a subject of the audit log as older versions wrapped it: nonce, ciphertext, tag. */
export type OpenOldSubjectKey = (old: OldSubjectKey) => Secret;

/**
 * With the key of an older version (64 hexadecimal digits). The result is in base64, as it is stored now. Throws
 * `config_invalid` for a missing file, and for one whose key opens nothing: personal fields would be lost with it.
 */
export async function openOldSubjectKeys(keyFile: string): Promise<OpenOldSubjectKey> {
  const key = Buffer.from((await readText(keyFile)).trim(), 'hex');
  if (key.length !== keyBytes) throw unusable(keyFile);
  return ({ id, wrapped }) => {
    try {
      const nonce = wrapped.subarray(0, nonceBytes);
      const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes })
        .setAAD(Buffer.from(`audit subject ${id}`))
        .setAuthTag(wrapped.subarray(-tagBytes));
      const opened = Buffer.concat([decipher.update(wrapped.subarray(nonceBytes, -tagBytes)), decipher.final()]);
      return new Secret(opened.toString('base64'));
    } catch (cause) {
      throw unusable(keyFile, cause);
    }
  };
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') throw unusable(file, error);
    throw error;
  }
}

function unusable(file: string, cause?: unknown): SoulBoxError {
  return new SoulBoxError(
    'config_invalid',
    `The keys of personal fields in the audit log cannot be read with ${file}. Put the right file back. Without it, these fields are lost: to give them up, run DELETE FROM audit_subjects WHERE sealed_key = '' on records.sqlite.`,
    { cause },
  );
}
