import { errorFromNode } from '@soulbox/base';
import { blockBytes } from './digests/digest-job.ts';
import type { Digester } from './digests/digester.ts';
import { readDiskFacts } from './disk-facts.ts';
import type { StampedDisk } from './manifest.ts';
import { backgroundDigestsSchema, manifestFormat } from './manifest.ts';
import { readSealedJson, writeSealedJson } from './sealed-json.ts';

/** Some 30 ms of work, after which an unwanted digest stops. */
const blocksAtOnce = 32;

const pathOf = (disk: string): string => `${disk}.digests`;

/**
 * Reads a large disk and writes its digests to a file beside it, unless that file exists. Stops when `isWanted` returns
 * false. Then, or when the disk was changed meanwhile, no digests are written.
 */
export async function digestInBackground(
  path: string,
  disk: StampedDisk,
  isWanted: () => boolean,
  digester: Digester,
): Promise<void> {
  if ((await findBackgroundDigests(path, disk)) !== undefined) return;
  const blocks: Record<string, string> = {};
  const data = await digester.findData(path);
  for (let at = 0; at < data.length && isWanted();) {
    const first = data[at] ?? 0;
    let count = 1;
    while (count < blocksAtOnce && data[at + count] === first + count) count++;
    const digests = await digester.digest(path, first, first + count, disk.sizeBytes);
    digests.forEach((digest, index) => (blocks[first + index] = digest));
    at += count;
  }
  if (!isWanted() || (await readDiskFacts(path)).stamp !== disk.stamp) return;
  try {
    await writeSealedJson(pathOf(path), { format: manifestFormat, blockBytes, stamp: disk.stamp, blocks });
  } catch (error) {
    throw errorFromNode(error, 'The digests of a paused sandbox could not be written to the disk of the host.');
  }
}

/** The digests beside a disk, if they are intact and belong to the disk with this stamp. */
export async function findBackgroundDigests(
  path: string,
  { stamp }: StampedDisk,
): Promise<Readonly<Record<string, string>> | undefined> {
  const content = await readSealedJson(pathOf(path)).catch(() => undefined);
  const { data } = backgroundDigestsSchema.safeParse(content);
  return data?.stamp === stamp && data.blockBytes === blockBytes ? data.blocks : undefined;
}
