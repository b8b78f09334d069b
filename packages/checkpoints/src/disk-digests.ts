import { stat } from 'node:fs/promises';
import { damaged } from './damage.ts';
import { blockBytes, blockCountOf, blockLength, digestOfZeros } from './digests/digest-job.ts';
import type { Digester } from './digests/digester.ts';
import { readDiskFacts } from './disk-facts.ts';
import { flush } from './flush.ts';
import { findBackgroundDigests } from './background-digests.ts';
import type { DiskDigests, FileDigests } from './manifest.ts';

const what = 'The disk of the paused sandbox';

/** Flushes a sparse image and digests its data, unless the digests are known. */
export async function digestImage(path: string, digester: Digester, known?: readonly string[]): Promise<FileDigests> {
  await flush(path);
  const { size } = await stat(path);
  if (known !== undefined) return { sizeBytes: size, digests: [...known] };
  return { sizeBytes: size, digests: await digester.digestSparse(path, size, await digester.findData(path)) };
}

/**
 * Compares a sparse image with its recorded digests. A hole may have become a block of zeros, or the other way round,
 * because file systems may choose that. Throws `state_damaged`.
 */
export async function verifyImage(
  what: string,
  path: string,
  expected: FileDigests,
  digester: Digester,
): Promise<void> {
  await checkSize(what, path, expected.sizeBytes);
  const found = await digester.digestSparse(path, expected.sizeBytes, await digester.findData(path));
  const plain = (digest: string | undefined, block: number): string =>
    digest === undefined || digest === '' ? digestOfZeros(blockLength(block, expected.sizeBytes)) : digest;
  const isOther = (digest: string, block: number): boolean =>
    digest !== expected.digests[block] && plain(digest, block) !== plain(expected.digests[block], block);
  const block = found.findIndex(isOther);
  if (block >= 0) throw damaged(`${what} is altered in block ${block}`);
  if (expected.digests.length !== blockCountOf(expected.sizeBytes)) throw damaged(`Digests of ${what} are missing`);
}

export async function digestDisk(path: string, maxReadBytes: number, digester: Digester): Promise<DiskDigests> {
  await flush(path);
  const { sizeBytes, allocatedBytes, stamp } = await readDiskFacts(path);
  const data = await digester.findData(path);
  if (data.length * blockBytes > maxReadBytes) return { checked: 'stamp', sizeBytes, allocatedBytes, stamp };
  const digests = await digester.digestSparse(path, sizeBytes, data);
  return { checked: 'content', sizeBytes, blocks: Object.fromEntries(data.map((at) => [at, digests[at] ?? ''])) };
}

/**
 * A disk with the recorded stamp was not changed by any program. A disk with another stamp may still have the same
 * content, for example after it was restored from a backup. It is read if its digests are known.
 */
export async function verifyDisk(path: string, expected: DiskDigests, digester: Digester): Promise<void> {
  const { sizeBytes } = expected;
  if (expected.checked === 'content') {
    await verifyBlocks(path, sizeBytes, expected.blocks, digester);
    return;
  }
  await checkSize(what, path, sizeBytes);
  const { stamp, allocatedBytes } = await readDiskFacts(path);
  if (stamp === expected.stamp && allocatedBytes === expected.allocatedBytes) return;
  const blocks = await findBackgroundDigests(path, expected);
  if (blocks === undefined) throw damaged(`${what} was written to, and its previous content is unknown`);
  await verifyBlocks(path, sizeBytes, blocks, digester);
}

async function verifyBlocks(
  path: string,
  sizeBytes: number,
  blocks: Readonly<Record<string, string>>,
  digester: Digester,
): Promise<void> {
  const digests = Array.from({ length: blockCountOf(sizeBytes) }, (_, block) => blocks[block] ?? '');
  await verifyImage(what, path, { sizeBytes, digests }, digester);
}

async function checkSize(what: string, path: string, sizeBytes: number): Promise<void> {
  const { size } = await stat(path).catch((error: unknown) => {
    throw damaged(`${what} is missing`, error);
  });
  if (size !== sizeBytes) throw damaged(`${what} has a different size`);
}
