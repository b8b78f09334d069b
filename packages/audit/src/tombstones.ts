import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError } from '@soulbox/base';

/** A subject key that was destroyed, and must stay so when an older database comes back. */
export interface Tombstone {
  readonly teamId: string;
  readonly keyId: string;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
}

/** In the folder of the logs, one line of JSON for each. It names keys, not people. */
export const tombstonesName = 'erased.jsonl';

export async function addTombstone(directory: string, tombstone: Tombstone): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await appendFile(join(directory, tombstonesName), `${JSON.stringify(tombstone)}\n`, { mode: 0o600, flush: true });
}

/** Lines that a crash has cut are skipped: their key was not destroyed yet. */
export async function readTombstones(file: string): Promise<Tombstone[]> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (isNodeError(error) && error.code === 'ENOENT') return '';
    throw error;
  });
  return text.split('\n').flatMap((line) => {
    try {
      const { teamId, keyId, at } = JSON.parse(line) as Partial<Tombstone>;
      return typeof teamId === 'string' && typeof keyId === 'string' && typeof at === 'number'
        ? [{ teamId, keyId, at }]
        : [];
    } catch {
      return [];
    }
  });
}
