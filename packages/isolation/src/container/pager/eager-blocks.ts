import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import type { BlockDigests } from '../../driver.ts';
import type { BlockReader } from './block-reader.ts';
import { createBlockReader } from './block-reader.ts';
import { listPageMaps, readPageMap } from './page-map.ts';

/**
 * Verifies the blocks of `pages-*.img` that `criu restore --lazy-pages` reads itself: those with any page of shared
 * memory, of a private file mapping, or of another kind that cannot be provided later. Typically 5 to 30 MiB. Encrypted
 * ones are written to `directory`. The page maps themselves must already be verified. Throws `state_damaged`.
 */
export async function prepareEagerBlocks(directory: string, digests: BlockDigests): Promise<void> {
  const blocks = findEagerBlocks(directory, digests.blockBytes);
  const reader = createBlockReader(directory, digests);
  try {
    const isSealed = digests.sealed !== undefined;
    for (const [file, indexes] of blocks)
      await prepareBlocks(
        { reader, file, indexes, buffer: Buffer.alloc(digests.blockBytes) },
        isSealed ? directory : undefined,
      );
  } finally {
    reader.close();
  }
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

interface Eager {
  readonly reader: BlockReader;
  readonly file: string;
  readonly indexes: ReadonlySet<number>;
  readonly buffer: Buffer;
}

async function prepareBlocks({ reader, file, indexes, buffer }: Eager, target: string | undefined): Promise<void> {
  if (indexes.size === 0) return;
  const copy = target === undefined ? undefined : await open(join(target, file), 'r+');
  try {
    for (const index of indexes) {
      const bytes = readBlock(reader, file, index, buffer);
      await copy?.write(buffer, 0, bytes, index * buffer.length);
    }
  } finally {
    await copy?.close();
  }
}

function readBlock(reader: BlockReader, file: string, index: number, buffer: Buffer): number {
  let bytes: number | undefined;
  try {
    bytes = reader.read(file, index, buffer);
  } catch (error) {
    throw damaged(file, error);
  }
  if (bytes === undefined) throw damaged(file, `block ${index}`);
  return bytes;
}

function damaged(file: string, cause: unknown): SoulBoxError {
  return new SoulBoxError('state_damaged', `${file} of the saved memory was altered after it was saved.`, { cause });
}
