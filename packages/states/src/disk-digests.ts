import { stat } from 'node:fs/promises';
import { damaged } from './damage.ts';
import { blockBytes, blockCountOf, blockLength, digestOfZeros } from './digests/digest-job.ts';
import type { Digester } from './digests/digester.ts';
import { flush } from './flush.ts';
import type { DiskDigests, FileDigests } from './manifest.ts';

const sectorBytes = 512;

/** Flushes a sparse image and reads what it holds. */
export async function digestImage(path: string, digester: Digester): Promise<FileDigests> {
  await flush(path);
  const { size } = await stat(path);
  return { sizeBytes: size, digests: await digester.digestSparse(path, size, await digester.findData(path)) };
}

/**
 * Compares a sparse image with what was noted. A block that was a hole may hold zeros by now, and the other way round: file
 * systems may choose. Throws `state_damaged`.
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
  const { size, blocks } = await stat(path);
  const data = await digester.findData(path);
  if (data.length * blockBytes > maxReadBytes)
    return { checked: 'size', sizeBytes: size, allocatedBytes: blocks * sectorBytes };
  const digests = await digester.digestSparse(path, size, data);
  return { checked: 'content', sizeBytes: size, blocks: Object.fromEntries(data.map((at) => [at, digests[at] ?? ''])) };
}

export async function verifyDisk(path: string, expected: DiskDigests, digester: Digester): Promise<void> {
  const what = 'The disk of the paused sandbox';
  const { sizeBytes } = expected;
  if (expected.checked === 'content') {
    const digests = Array.from({ length: blockCountOf(sizeBytes) }, (_, block) => expected.blocks[block] ?? '');
    await verifyImage(what, path, { sizeBytes, digests }, digester);
    return;
  }
  await checkSize(what, path, sizeBytes);
  const { blocks } = await stat(path);
  if (blocks * sectorBytes !== expected.allocatedBytes) throw damaged(`${what} takes more or less room than it did`);
}

async function checkSize(what: string, path: string, sizeBytes: number): Promise<void> {
  const { size } = await stat(path).catch((error: unknown) => {
    throw damaged(`${what} is missing`, error);
  });
  if (size !== sizeBytes) throw damaged(`${what} has another size than it had`);
}
