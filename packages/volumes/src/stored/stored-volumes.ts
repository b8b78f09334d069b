import { hkdfSync } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { statfsSync } from 'node:fs';
import type { Logger } from '@soulbox/base';
import type { SealedObjects } from '@soulbox/vault';
import { createGenerations } from './generations.ts';
import type { Generations } from './generations.ts';
import { openGroupBlocks, removeFetchedDrafts } from './group-blocks.ts';
import type { GroupBlocks } from './group-blocks.ts';
import { createLocalCache } from './local-cache.ts';
import type { LocalCache } from './local-cache.ts';
import { createPackReader } from './pack-reader.ts';
import { createPacks } from './packs.ts';
import type { OpenedPack, Packs } from './packs.ts';

/** Packs that wait to be written to the disk. What more there is stays in the store, and is fetched again. */
const writesMax = 4;

/** The volumes of a host, as they are in the object store. */
export interface StoredVolumes extends AsyncDisposable {
  readonly packs: Packs;
  readonly generations: Generations;
  readonly digestKey: Uint8Array;
  readonly cache: LocalCache;
  /** The blocks of a group, in their folder. */
  group(groupId: string, folder: string): GroupBlocks;
  /** Groups that are known. One without open volumes can be dropped. */
  groups(): Iterable<GroupBlocks>;
  drop(groupId: string): void;
}

export interface StoredVolumesOptions {
  readonly objects: SealedObjects;
  /** `keyOfRole(…, 'volumes')`. */
  readonly key: Uint8Array;
  /** The folder of all volumes. */
  readonly directory: string;
  /** Bytes of blocks on the disk, of those that are in the store. Undefined: all stay. */
  readonly localBytes: number | undefined;
  readonly logger: Logger;
}

export function openStoredVolumes({
  objects,
  key,
  directory,
  localBytes,
  logger,
}: StoredVolumesOptions): StoredVolumes {
  const stopping = new AbortController();
  const packs = createPacks(objects, key);
  const known = new Map<string, GroupBlocks>();
  const writing = new Set<Promise<void>>();
  const cache = createLocalCache(localBytes, () => {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize;
  });
  const keep = (groupId: string, opened: OpenedPack): void => {
    const group = known.get(groupId);
    if (group === undefined || writing.size >= writesMax) return;
    const task = group
      .keep(opened)
      .catch((err: unknown) => logger.warn({ err, groupId }, 'a block from the object store could not be kept'))
      .finally(() => writing.delete(task));
    writing.add(task);
  };
  const reader = createPackReader(packs, stopping.signal, keep);
  return {
    packs,
    generations: createGenerations(objects, key),
    digestKey: new Uint8Array(hkdfSync('sha256', key, '', 'soulbox volume pieces 1', 32)),
    cache,
    group(groupId, folder) {
      const present = known.get(groupId);
      if (present !== undefined) return present;
      const blocks = openGroupBlocks({
        ...{ group: groupId, folder, reader, logger },
        onRead: localBytes === undefined ? () => undefined : (id) => cache.noteRead(id),
        makeRoom: (bytes) => cache.makeRoom(bytes),
      });
      known.set(groupId, blocks);
      return blocks;
    },
    groups: () => known.values(),
    drop: (groupId) => void known.delete(groupId),
    async [Symbol.asyncDispose]() {
      stopping.abort(new Error('The volume service stops.'));
      await Promise.all(writing);
    },
  };
}

/** Removes what a killed process has left in the folder of a group. */
export async function cleanGroup(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await removeFetchedDrafts(folder);
}
