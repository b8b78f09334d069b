import type { BlockStore } from '../blocks/block-store.ts';
import type { Metadata } from '../metadata/metadata.ts';

export interface Syncer {
  /** Everything that was answered before survives a crash of the host. Callers at the same time share the work. */
  sync(): Promise<void>;
  /** These blocks can be deleted once the transaction that freed them cannot be lost. */
  freed(blocks: readonly string[]): void;
  /** Until it is disposed, no block is deleted. The next `sync` deletes what was freed meanwhile. */
  hold(): Disposable;
}

export function createSyncer({
  metadata,
  blocks,
}: {
  readonly metadata: Metadata;
  readonly blocks: BlockStore;
}): Syncer {
  let removable: string[] = [];
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  let syncedCommit = -1;
  let holds = 0;

  const run = async (): Promise<void> => {
    await metadata.settled();
    const { commit } = metadata.facts();
    const removing = holds > 0 ? [] : removable;
    if (commit === syncedCommit && removing.length === 0) return;
    if (holds === 0) removable = [];
    try {
      // Data before the metadata that name them.
      await blocks.sync();
      await metadata.sync();
    } catch (error) {
      removable.push(...removing);
      throw error;
    }
    syncedCommit = commit;
    await blocks.remove(removing);
  };
  const start = async (): Promise<void> => {
    try {
      await run();
    } finally {
      running = undefined;
    }
  };
  return {
    async sync() {
      if (running === undefined) {
        running = start();
        await running;
        return;
      }
      // What runs may have begun before the caller's last write.
      next ??= running
        .catch(() => undefined)
        .then(async () => {
          next = undefined;
          running = start();
          await running;
        });
      await next;
    },
    freed: (names) => void removable.push(...names),
    hold() {
      holds += 1;
      let isHeld = true;
      return {
        [Symbol.dispose]() {
          if (isHeld) holds -= 1;
          isHeld = false;
        },
      };
    },
  };
}
