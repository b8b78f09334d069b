import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DatabaseSync } from 'node:sqlite';
import { blockId } from '../blocks/block-names.ts';
import type { BlockStore } from '../blocks/block-store.ts';
import { openDiskBlocks } from '../blocks/disk.ts';
import { blocksPath, metadataPath } from '../volume/places.ts';
import { copyMsMax } from './copy-volume.ts';

const rowsAtOnce = 5000;

export interface Sweeper {
  /**
   * Deletes blocks that no volume has named since a sweep that is at least the grace old. Throws, and deletes nothing, if
   * the metadata of one volume cannot be read.
   */
  sweep(): Promise<{ readonly deleted: number; readonly bytes: number; readonly waiting: number }>;
}

/** A sweeper of the blocks in a folder of volumes. */
export function openSweeper(data: string): Sweeper {
  return createSweeper({ data, blocks: openDiskBlocks(blocksPath(data)) });
}

export interface SweeperOptions {
  readonly data: string;
  readonly blocks: BlockStore;
  /** Of a clock that never goes back, in milliseconds. */
  readonly now?: () => number;
}

/**
 * Between two sweeps, so that each write has committed what it has written, and each copy has been finished: only a copy
 * that began before the first of them could still name a block that no volume names.
 */
export const graceMs = 2 * copyMsMax;

/** Deletes blocks that no volume needs any longer: those that copies shared, of deleted volumes, and of killed writers. */
export function createSweeper({ data, blocks, now = () => performance.now() }: SweeperOptions): Sweeper {
  let unnamed = new Map<string, number>();
  return {
    async sweep() {
      const startedAt = now();
      const named = await namedBlocks(data);
      const still = new Map<string, number>();
      let [deleted, bytes] = [0, 0];
      for await (const block of blocks.list()) {
        if (named.has(block.name)) continue;
        const since = unnamed.get(block.name) ?? startedAt;
        if (startedAt - since < graceMs) {
          still.set(block.name, since);
          continue;
        }
        await blocks.remove([block.name]);
        deleted += 1;
        bytes += block.bytes;
      }
      unnamed = still;
      return { deleted, bytes, waiting: still.size };
    },
  };
}

async function namedBlocks(data: string): Promise<Set<string>> {
  const named = new Set<string>();
  for (const entry of await readdir(data, { withFileTypes: true })) {
    const path = metadataPath(data, entry.name);
    if (!entry.isDirectory() || !existsSync(path)) continue;
    using db = new DatabaseSync(path, { readOnly: true });
    const select = db.prepare('SELECT ino, idx, object FROM block WHERE (ino, idx) > (?, ?) ORDER BY ino, idx LIMIT ?');
    // In pieces, so that the log of a volume in use can be written back. A block never moves to another place.
    for (let rows = select.all(0, 0, rowsAtOnce); rows.length > 0;) {
      for (const { object } of rows) if (typeof object === 'string') named.add(blockId(object));
      const last = rows.at(-1);
      await nextTurn();
      rows = select.all(last?.['ino'] ?? 0, last?.['idx'] ?? 0, rowsAtOnce);
    }
  }
  return named;
}
