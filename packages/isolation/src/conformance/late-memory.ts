import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlockDigests, SavedMemory } from '../driver.ts';

/** Small, so that a test's memory has many blocks. */
const blockBytes = 2 ** 20;

/** A saved memory whose pages the driver must verify itself when they are touched. */
export async function lateMemory(directory: string): Promise<SavedMemory> {
  const parts: Record<string, readonly string[]> = {};
  for (const name of await readdir(directory))
    if (/^pages-\d+\.img$/.test(name)) parts[name] = digestsOf(await readFile(join(directory, name)));
  const digests: BlockDigests = { blockBytes, parts };
  return { directory, digests };
}

function digestsOf(content: Buffer): string[] {
  const starts = Array.from({ length: Math.ceil(content.length / blockBytes) }, (_, index) => index * blockBytes);
  return starts.map((start) =>
    createHash('sha256')
      .update(content.subarray(start, start + blockBytes))
      .digest('hex'),
  );
}
