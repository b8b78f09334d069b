import type { Digester } from './digests/digester.ts';
import { blockBytes, digestOfZeros } from './digests/digest-job.ts';
import type { PartFile } from './part-files.ts';

/**
 * Throws if bytes were written into the first `count` blocks of a part after these were encrypted and freed: the part is
 * not append-only, and the encrypted blocks are outdated. Blocks of zeros pass, because a file system with huge pages may
 * keep a freed block as zeros.
 */
export async function checkFreed(
  { name, path, sizeBytes }: PartFile,
  count: number,
  digester: Pick<Digester, 'findData' | 'digest'>,
): Promise<void> {
  for (const block of await digester.findData(path)) {
    if (block >= count) return;
    const [digest] = await digester.digest(path, block, block + 1, sizeBytes);
    if (digest !== digestOfZeros(blockBytes))
      throw new Error(`block ${block} of ${name} was written again after it was encrypted`);
  }
}
