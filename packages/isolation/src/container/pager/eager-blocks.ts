import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SoulBoxError } from '@soulbox/base';
import type { BlockDigests } from '../../driver.ts';
import type { BlockReader } from './block-reader.ts';
import { createBlockReader } from './block-reader.ts';
import { createArrivals } from './arrivals.ts';
import type { Arrivals } from './arrivals.ts';
import { listPageMaps, readPageMap } from './page-map.ts';

/**
 * Verifies the blocks of `pages-*.img` that `criu restore --lazy-pages` reads itself: those with any page of shared
 * memory, of a private file mapping, or of another kind that cannot be provided later. Typically 5 to 30 MiB. Encrypted
 * ones are written to `directory`. Those that still arrive are waited for. The page maps themselves must already be
 * verified. Throws `state_damaged`, `storage_unavailable`.
 */
export async function prepareEagerBlocks(directory: string, digests: BlockDigests): Promise<void> {
  const blocks = findEagerBlocks(directory, digests.blockBytes);
  await awaitBlocks(blocks, digests);
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

/** Asks for those blocks that still arrive, and does not wait for them. */
export function wantEagerBlocks(directory: string, digests: BlockDigests): void {
  if (digests.arriving === undefined) return;
  const arrivals = createArrivals(digests.arriving);
  try {
    wantMissing(arrivals, listBlocks(findEagerBlocks(directory, digests.blockBytes)));
  } finally {
    arrivals.close();
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

/** How long blocks that still arrive are waited for, without any that arrives. */
const arrivalTimeoutMs = 30_000;
const arrivalLookMs = 2;

async function awaitBlocks(blocks: ReadonlyMap<string, ReadonlySet<number>>, digests: BlockDigests): Promise<void> {
  const arrivals = createArrivals(digests.arriving);
  try {
    let missing = listBlocks(blocks);
    wantMissing(arrivals, missing);
    for (let lateAt = performance.now() + arrivalTimeoutMs; ;) {
      arrivals.refresh();
      const left = missing.filter(({ file, index }) => arrivals.arrivalOf(file, index) !== 'there');
      const bad = left.find(({ file, index }) => arrivals.arrivalOf(file, index) === 'damaged');
      if (bad !== undefined) throw damaged(bad.file, `block ${bad.index} was damaged in the object store`);
      if (left.length === 0) return;
      if (left.length < missing.length) lateAt = performance.now() + arrivalTimeoutMs;
      if (performance.now() > lateAt)
        throw new SoulBoxError('storage_unavailable', 'The object store does not return the saved memory. Retry.');
      missing = left;
      await sleep(arrivalLookMs);
    }
  } finally {
    arrivals.close();
  }
}

interface BlockOfFile {
  readonly file: string;
  readonly index: number;
}

function listBlocks(blocks: ReadonlyMap<string, ReadonlySet<number>>): BlockOfFile[] {
  return [...blocks].flatMap(([file, indexes]) => [...indexes].map((index) => ({ file, index })));
}

function wantMissing(arrivals: Arrivals, blocks: readonly BlockOfFile[]): void {
  for (const { file, index } of blocks) if (arrivals.arrivalOf(file, index) === 'missing') arrivals.want(file, index);
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
