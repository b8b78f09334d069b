import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError, Secret, SoulBoxError, writeFileAtomic } from '@soulbox/base';
import { createLocalKeyWrap } from './local-key-wrap.ts';
import type { KeyWrap } from './seal.ts';

export interface AuditKeys {
  /** Signs checkpoints: Ed25519, in PEM. */
  readonly signingKey: Secret;
  readonly keyWrap: KeyWrap;
}

const wrapKeyBytes = 32;

/**
 * The keys of a server's audit logs, in files of 0600 that are created when they are missing. Without the signing key,
 * logs cannot be continued; without the other one, personal fields cannot be read. Throws `config_invalid` for a
 * damaged file.
 */
export async function openAuditKeys(secretsDirectory: string): Promise<AuditKeys> {
  await mkdir(secretsDirectory, { recursive: true, mode: 0o700 });
  const signingKey = await keep(join(secretsDirectory, 'audit-signing-key'), () =>
    generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  );
  const wrapFile = join(secretsDirectory, 'audit-wrap-key');
  const wrapKey = Buffer.from(await keep(wrapFile, () => `${randomBytes(wrapKeyBytes).toString('hex')}\n`), 'hex');
  if (wrapKey.length !== wrapKeyBytes)
    throw new SoulBoxError('config_invalid', `${wrapFile} must contain ${wrapKeyBytes} bytes in hexadecimal digits.`);
  return { signingKey: new Secret(signingKey), keyWrap: createLocalKeyWrap(wrapKey) };
}

async function keep(file: string, make: () => string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (!isNodeError(error) || error.code !== 'ENOENT') throw error;
  }
  const made = make();
  await writeFileAtomic(file, made, { durable: true });
  return made;
}
