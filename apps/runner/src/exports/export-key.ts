import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { isNodeError, SoulBoxError, writeFileAtomic } from '@soulbox/base';
import { createExportKey } from '@soulbox/contract/export-file';
import type { RecordSeal } from '../registry/record-seal.ts';
import { syncDirectory } from '../registry/sync-directory.ts';

/** In the data folder. Encrypted like a record, and part of backups: a restored server accepts its own exports. */
export const exportKeyName = 'runner-export-key.json';

const id = 'server';
const keySchema = z.object({ privateKey: z.string() });

/**
 * The private key with which this server signs its exports. Made at the first call. It belongs to the runner, because
 * whoever has it can have any file system mounted and any memory restored by this host.
 */
export function createExportKeys(dataDirectory: string, seal: RecordSeal): () => Promise<string> {
  const path = join(dataDirectory, exportKeyName);
  let known: Promise<string> | undefined;
  const open = async (): Promise<string> => {
    const text = await readFile(path, 'utf8').catch((error: unknown) => {
      if (isNodeError(error) && error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (text !== undefined) return await parse(text, seal);
    const privateKey = createExportKey();
    await writeFileAtomic(path, await seal.textOf('export-key', id, { privateKey }), { durable: true });
    await syncDirectory(dataDirectory);
    return privateKey;
  };
  return async () => {
    known ??= open();
    known.catch(() => (known = undefined));
    return await known;
  };
}

async function parse(text: string, seal: RecordSeal): Promise<string> {
  try {
    return keySchema.parse(await seal.open('export-key', id, JSON.parse(text))).privateKey;
  } catch (error) {
    if (error instanceof SoulBoxError) throw error;
    throw new SoulBoxError(
      'state_damaged',
      `${exportKeyName} in the data folder is damaged. Put it back from a backup, or remove it: the server then makes another key.`,
      { cause: error },
    );
  }
}
