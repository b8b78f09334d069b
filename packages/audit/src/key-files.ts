import { generateKeyPairSync } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError, Secret, writeFileAtomic } from '@soulbox/base';

/**
 * The key that signs the checkpoints of a server's audit logs: Ed25519, in PEM, in a file of 0600 that is created when it
 * is missing. Without it, logs cannot be continued.
 */
export async function openAuditSigningKey(secretsDirectory: string): Promise<Secret> {
  await mkdir(secretsDirectory, { recursive: true, mode: 0o700 });
  const file = join(secretsDirectory, 'audit-signing-key');
  try {
    return new Secret(await readFile(file, 'utf8'));
  } catch (error) {
    if (!isNodeError(error) || error.code !== 'ENOENT') throw error;
  }
  const made = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  await writeFileAtomic(file, made, { durable: true });
  return new Secret(made);
}
