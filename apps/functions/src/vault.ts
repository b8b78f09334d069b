import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isNodeError, Secret, SoulBoxError, writeFileAtomic } from '@soulbox/base';

const algorithm = 'aes-256-gcm';
const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

/** Encrypts secrets of tenants at rest. */
export interface Vault {
  /** `place` identifies the owner and the name: sealed text that is moved to another place does not open. */
  seal(secret: Secret, place: string): string;
  /** Throws `state_damaged` for text that was not sealed with this key for this place. */
  open(sealed: string, place: string): Secret;
}

/**
 * Opens the vault with the key in `file` (0600), which is created when it is missing. After the loss of the key,
 * secrets must be set again.
 */
export async function openVault(file: string): Promise<Vault> {
  const key = (await readKey(file)) ?? (await makeKey(file));
  return createVault(key);
}

export function createVault(key: Buffer): Vault {
  return {
    seal(secret, place) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv(algorithm, key, nonce).setAAD(Buffer.from(place));
      const sealed = Buffer.concat([cipher.update(secret.reveal(), 'utf8'), cipher.final()]);
      return Buffer.concat([nonce, sealed, cipher.getAuthTag()]).toString('base64');
    },
    open(text, place) {
      const bytes = Buffer.from(text, 'base64');
      try {
        const decipher = createDecipheriv(algorithm, key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes })
          .setAAD(Buffer.from(place))
          .setAuthTag(bytes.subarray(-tagBytes));
        const opened = decipher.update(bytes.subarray(nonceBytes, -tagBytes));
        return new Secret(Buffer.concat([opened, decipher.final()]).toString('utf8'));
      } catch (cause) {
        throw new SoulBoxError('state_damaged', 'A secret of the function cannot be decrypted. Set it again.', {
          cause,
        });
      }
    },
  };
}

async function readKey(file: string): Promise<Buffer | undefined> {
  try {
    const key = Buffer.from((await readFile(file, 'utf8')).trim(), 'hex');
    if (key.length === keyBytes) return key;
    throw new SoulBoxError(
      'config_invalid',
      `${file} does not contain a key of ${keyBytes} bytes in hexadecimal digits.`,
    );
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function makeKey(file: string): Promise<Buffer> {
  const key = randomBytes(keyBytes);
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFileAtomic(file, `${key.toString('hex')}\n`, { durable: true });
  return key;
}
