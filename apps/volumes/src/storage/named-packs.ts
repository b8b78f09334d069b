import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError } from '@soulbox/base';
import { namesOf, packOf } from '@soulbox/volumes/stored';

/** The packs that the volumes of a group name, as they are on the disk. Throws if one of them cannot be read. */
export async function namedPacks(data: string): Promise<Set<string>> {
  const packs = new Set<string>();
  for (const entry of await readdir(data, { withFileTypes: true }).catch(ignoreMissing)) {
    if (!entry.isDirectory()) continue;
    for await (const name of namesOf(join(data, entry.name, 'metadata.sqlite'))) {
      const pack = packOf(name);
      if (pack !== undefined) packs.add(pack);
    }
  }
  return packs;
}

function ignoreMissing(error: unknown): [] {
  if (isNodeError(error) && error.code === 'ENOENT') return [];
  throw error;
}
