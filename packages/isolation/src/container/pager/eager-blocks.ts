import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import type { BlockDigests } from '../../driver.ts';
import { listPageMaps, readPageMap } from './page-map.ts';

/**
 * Verifies the blocks of `pages-*.img` that `criu restore --lazy-pages` reads itself: those with any page of shared
 * memory, of a private file mapping, or of another kind that cannot be provided later. Typically 5 to 30 MiB. The page
 * maps themselves must already be verified. Throws `state_damaged`.
 */
export async function verifyEagerBlocks(directory: string, digests: BlockDigests): Promise<void> {
  const blocks = findEagerBlocks(directory, digests.blockBytes);
  await Promise.all([...blocks].map(([file, indexes]) => verifyBlocks(directory, file, indexes, digests)));
}

function findEagerBlocks(directory: string, blockBytes: number): Map<string, Set<number>> {
  const blocks = new Map<string, Set<number>>();
  for (const name of listPageMaps(directory)) {
    const { pagesFile, runs } = readPageMap(directory, name);
    const indexes = blocks.get(pagesFile) ?? new Set();
    blocks.set(pagesFile, indexes);
    for (const { start, end, offset, lazy } of runs)
      for (let index = Math.floor(offset / blockBytes); !lazy && index * blockBytes < offset + end - start; index += 1)
        indexes.add(index);
  }
  return blocks;
}

async function verifyBlocks(
  directory: string,
  file: string,
  indexes: ReadonlySet<number>,
  digests: BlockDigests,
): Promise<void> {
  if (indexes.size === 0) return;
  const handle = await open(join(directory, file)).catch((cause: unknown) => {
    throw damaged(file, cause);
  });
  try {
    const buffer = Buffer.alloc(digests.blockBytes);
    for (const index of indexes) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, index * buffer.length);
      const digest = createHash('sha256').update(buffer.subarray(0, bytesRead)).digest('hex');
      if (digest !== digests.parts[file]?.[index]) throw damaged(file, `block ${index}`);
    }
  } finally {
    await handle.close();
  }
}

function damaged(file: string, cause: unknown): SoulBoxError {
  return new SoulBoxError('state_damaged', `${file} of the saved memory was altered after it was saved.`, { cause });
}
