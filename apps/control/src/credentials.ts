import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isNodeError, Secret, writeFileAtomic } from '@soulbox/base';
import { createApiKey, ensureDefaultTeam } from '@soulbox/storage';
import type { Records } from '@soulbox/storage';

const fileIn = (dataDirectory: string): string => join(dataDirectory, 'secrets', 'default-api-key');

/** The key that `soulbox env` prints, if a server has created one in this data folder. Mode 0600. */
export async function readDefaultApiKey(dataDirectory: string): Promise<Secret | undefined> {
  return await readSecretFile(fileIn(dataDirectory));
}

/**
 * The token with which the operator's Prometheus reads the server's figures: the configured token, otherwise the one in
 * DATA/secrets/metrics-token (0600), which is created at the first start. If there is no room for the file, nobody
 * knows the token until a later start.
 */
export async function ensureMetricsToken(dataDirectory: string, wanted: string): Promise<Secret> {
  return wanted === '' ? await ensureSecretFile(join(dataDirectory, 'secrets', 'metrics-token')) : new Secret(wanted);
}

/** The token that changes the limits of teams over the API, in DATA/secrets/admin-token (0600), created at the first start. */
export async function ensureAdminToken(dataDirectory: string): Promise<Secret> {
  return await ensureSecretFile(join(dataDirectory, 'secrets', 'admin-token'));
}

/**
 * The secret from which the keys of signed URLs are derived, in DATA/secrets/signing-secret (0600), created at the first
 * start. Without the file, all signed URLs are invalid. If there is no room for it, they end with this process.
 */
export async function ensureSigningRoot(dataDirectory: string): Promise<Secret> {
  return await ensureSecretFile(join(dataDirectory, 'secrets', 'signing-secret'));
}

async function ensureSecretFile(file: string): Promise<Secret> {
  const existing = await readSecretFile(file);
  if (existing !== undefined) return existing;
  const token = new Secret(randomBytes(32).toString('base64url'));
  await writeSecretFile(file, token).catch((error: unknown) => {
    if (!isNodeError(error) || (error.code !== 'ENOSPC' && error.code !== 'EDQUOT')) throw error;
  });
  return token;
}

/** The same token, for a command of the host. Undefined before the first start. */
export async function readMetricsToken(dataDirectory: string, wanted: string): Promise<Secret | undefined> {
  return wanted === '' ? await readSecretFile(join(dataDirectory, 'secrets', 'metrics-token')) : new Secret(wanted);
}

/** The key of the default team, for use on this machine. Created at the first start, and again after it was revoked. */
export async function ensureDefaultApiKey(dataDirectory: string, records: Records): Promise<Secret> {
  const team = await ensureDefaultTeam(records);
  const existing = await readDefaultApiKey(dataDirectory);
  if (existing !== undefined && (await records.apiKeys.findByValue(existing.reveal())) !== undefined) {
    return existing;
  }
  const { key } = await createApiKey(records, team, 'default');
  await writeSecretFile(fileIn(dataDirectory), key);
  return key;
}

async function readSecretFile(file: string): Promise<Secret | undefined> {
  try {
    const text = (await readFile(file, 'utf8')).trim();
    return text === '' ? undefined : new Secret(text);
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function writeSecretFile(file: string, secret: Secret): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFileAtomic(file, `${secret.reveal()}\n`, { durable: true });
}
