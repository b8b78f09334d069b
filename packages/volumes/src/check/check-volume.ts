import { crcOf } from '../metadata/checksum.ts';
import type { Block, BlockPlace } from '../metadata/metadata.ts';
import type { Volume } from '../volume/open.ts';

const blocksAtOnce = 200;
/** More faults than this help nobody. */
const faultsMax = 1000;

export interface BlockFault extends BlockPlace {
  readonly fault: 'missing' | 'damaged';
}

export interface VolumeReport {
  readonly blocks: number;
  /** Blocks whose bytes were compared with a digest. Others only have to be there, and long enough. */
  readonly compared: number;
  readonly faults: readonly BlockFault[];
}

/** Reads all blocks of a volume and compares them with their digests. Changes nothing. */
export async function checkVolume(volume: Volume, signal?: AbortSignal): Promise<VolumeReport> {
  const faults: BlockFault[] = [];
  let [count, compared] = [0, 0];
  for await (const block of blocksOf(volume, signal)) {
    count += 1;
    if (block.digest !== undefined) compared += 1;
    const fault = await faultOf(volume, block);
    if (fault !== undefined) faults.push({ ino: block.ino, index: block.index, fault });
    if (faults.length >= faultsMax) break;
  }
  return { blocks: count, compared, faults };
}

/** Computes the digests of all blocks that have none: after a copy was made, and when a volume is idle. */
export async function digestBlocks(volume: Volume, signal?: AbortSignal): Promise<void> {
  for await (const block of blocksOf(volume, signal)) if (block.digest === undefined) await volume.digestBlock(block);
}

async function* blocksOf({ metadata }: Volume, signal: AbortSignal | undefined): AsyncGenerator<Block & BlockPlace> {
  for (let after: BlockPlace = { ino: 0, index: 0 }; ;) {
    const found = await metadata.listBlocks(after, blocksAtOnce);
    for (const block of found) {
      signal?.throwIfAborted();
      yield block;
    }
    const last = found.at(-1);
    if (last === undefined) return;
    after = last;
  }
}

async function faultOf(volume: Volume, block: Block & BlockPlace): Promise<BlockFault['fault'] | undefined> {
  const fault = await faultNow(volume, block);
  if (fault === undefined) return undefined;
  // It may have been changed or removed while it was read.
  const [present] = await volume.metadata.blocks(block.ino, block.index, block.index);
  const isSame =
    present?.length === block.length && (typeof block.content !== 'string' || present.content === block.content);
  if (!isSame || (present.digest === undefined) !== (block.digest === undefined)) return undefined;
  return await faultNow(volume, present);
}

async function faultNow({ blocks }: Volume, block: Block): Promise<BlockFault['fault'] | undefined> {
  const { content, length, digest } = block;
  if (typeof content !== 'string')
    return digest !== undefined && Buffer.compare(crcOf(content), digest) !== 0 ? 'damaged' : undefined;
  const found = await blocks.digest(content, length);
  if (found === undefined) return 'missing';
  return digest !== undefined && Buffer.compare(found, digest) !== 0 ? 'damaged' : undefined;
}
