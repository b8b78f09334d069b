import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError, Secret, writeFileAtomic } from '@soulbox/base';
import { createApiKey, ensureDefaultTeam, hashApiKey } from '@soulbox/storage';
import type { Records } from '@soulbox/storage';

const fileIn = (dataDirectory: string): string => join(dataDirectory, 'secrets', 'default-api-key');

/** The key that `soulbox env` prints, if a server has made one in this data folder. Mode 0600. */
export async function readDefaultApiKey(dataDirectory: string): Promise<Secret | undefined> {
  try {
    return new Secret((await readFile(fileIn(dataDirectory), 'utf8')).trim());
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The key of the default team for this machine's own use; made at the first start, and anew when it was revoked. */
export async function ensureDefaultApiKey(dataDirectory: string, records: Records): Promise<Secret> {
  const team = await ensureDefaultTeam(records);
  const existing = await readDefaultApiKey(dataDirectory);
  if (existing !== undefined && (await records.apiKeys.findByHash(hashApiKey(existing.reveal()))) !== undefined) {
    return existing;
  }
  const { key } = await createApiKey(records, team, 'default');
  await mkdir(join(dataDirectory, 'secrets'), { recursive: true, mode: 0o700 });
  await writeFileAtomic(fileIn(dataDirectory), `${key.reveal()}\n`, { durable: true });
  return key;
}
