import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { placeOfBlock, sealBlock } from '@soulbox/keyring/blocks';
import type { SavedMemory } from '../driver.ts';

/** Small, so that a test's memory has many blocks. */
const blockBytes = 2 ** 20;

/**
 * A saved memory whose pages are encrypted and must be verified by the driver when they are touched. In `directory`, files
 * without content are left of them.
 */
export async function sealedLateMemory(directory: string): Promise<SavedMemory> {
  const [key, checkpointId, sealed] = [randomBytes(32), 'c1', `${directory}.sealed`];
  await mkdir(sealed);
  const parts: Record<string, readonly string[]> = {};
  for (const name of (await readdir(directory)).filter((file) => /^pages-\d+\.img$/.test(file))) {
    const content = await readFile(join(directory, name));
    const blocks = blocksOf(content).map((block, index) =>
      sealBlock(key, placeOfBlock(checkpointId, name, index), block),
    );
    await writeFile(join(sealed, name), Buffer.concat(blocks.map(({ bytes }) => bytes)));
    parts[name] = blocks.map(({ seal }) => seal);
    await truncate(join(directory, name), 0);
    await truncate(join(directory, name), content.length);
  }
  const place = { directory: sealed, key: key.toString('base64'), checkpointId };
  return { directory, scratch: scratchOf(directory), digests: { blockBytes, parts, sealed: place } };
}

/** A folder beside that of the memory. */
export function scratchOf(directory: string): string {
  const scratch = `${directory}.scratch`;
  if (existsSync(directory)) mkdirSync(scratch, { recursive: true });
  return scratch;
}

function blocksOf(content: Buffer): Buffer[] {
  const starts = Array.from({ length: Math.ceil(content.length / blockBytes) }, (_, index) => index * blockBytes);
  return starts.map((start) => content.subarray(start, start + blockBytes));
}
