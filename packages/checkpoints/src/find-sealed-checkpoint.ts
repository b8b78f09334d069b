import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError } from '@soulbox/base';
import { sealedFormat } from './manifest.ts';
import { manifestName, storePaths } from './names.ts';
import { readSealedJson } from './sealed-json.ts';

/**
 * The path of an encrypted checkpoint in the folder of a store, which may be missing. Undefined: there is none. Needs no
 * key. Ignores damaged ones.
 */
export async function findSealedCheckpoint(directory: string): Promise<string | undefined> {
  const { checkpoints } = storePaths(directory);
  for (const name of (await ifPresent(readdir(checkpoints))) ?? []) {
    const content = await ifPresent(readSealedJson(join(checkpoints, name, manifestName)));
    if ((content as { format?: unknown } | null | undefined)?.format === sealedFormat) return join(checkpoints, name);
  }
  return undefined;
}

async function ifPresent<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isNodeError(error) || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
