import { rmSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { blockId, findPackPlace } from '../blocks/block-names.ts';
import { blockPath, openDiskBlocks } from '../blocks/disk.ts';
import { metadataName } from '../volume/places.ts';
import { namesOf } from './block-rows.ts';
import type { GroupBlocks } from './group-blocks.ts';

const mib = 1024 * 1024;
/** Reads that are remembered. Of other blocks, the time of the file counts. */
const readsMax = 100_000;
/** So much less than the limit is left, so that not each write leads to a look. */
const leftShare = 0.9;
/** With less free space on the disk, blocks are removed whatever the limit is. */
const freeBytesMin = 512 * mib;
/** Blocks that can be removed at once when a write finds no room. */
const readyMax = 20_000;

/** A group of volumes as it is on the disk. */
export interface LocalGroup {
  /** Its folder. */
  readonly data: string;
  readonly blocks: GroupBlocks;
  /** Grows when a copy begins in it, and when one ends. Undefined while one is being made. */
  readonly copies: () => number | undefined;
  /** What the metadata of its volumes say survives a crash of the host. */
  readonly sync: () => Promise<void>;
}

export interface LocalCache {
  noteRead(id: string): void;
  /** Removes blocks that are in the store, if there are too many on the disk. Returns what it has removed. */
  trim(groups: readonly LocalGroup[]): Promise<{ readonly blocks: number; readonly bytes: number }>;
  /** Removes some in a hurry. */
  makeRoom(bytes: number): boolean;
  /** Blocks of before may be needed again: a name does not say any more that they are in the store. */
  forgetReady(): void;
}

interface Candidate {
  readonly id: string;
  readonly bytes: number;
  readonly usedAtMs: number;
  readonly group: GroupBlocks;
}

/** Removes blocks whose upload is confirmed, least recently read first. `limitBytes`: undefined keeps all while the disk has room. */
export function createLocalCache(limitBytes: number | undefined, freeBytes: () => number): LocalCache {
  const reads = new Map<string, number>();
  let ready: Candidate[] = [];

  return {
    noteRead(id) {
      reads.delete(id);
      // It is compared with times of files.
      reads.set(id, Date.now());
      for (const oldest of reads.keys()) if (reads.size > readsMax) reads.delete(oldest);
    },
    async trim(groups) {
      const free = freeBytes();
      const isShort = free < freeBytesMin;
      if (limitBytes === undefined && !isShort) return { blocks: 0, bytes: 0 };
      let present = 0;
      const candidates: Candidate[] = [];
      for (const group of groups) {
        const copies = group.copies();
        const stored = copies === undefined ? undefined : await findStored(group.data);
        // After a crash of the host, a block without a place in the store would be nowhere.
        await group.sync();
        const found: Candidate[] = [];
        for await (const { name, bytes, usedAtMs } of openDiskBlocks(group.blocks.folder).list()) {
          present += bytes;
          if (stored?.has(name) === true)
            found.push({ id: name, bytes, usedAtMs: reads.get(name) ?? usedAtMs, group: group.blocks });
        }
        // What a copy that began meanwhile names may be nowhere else.
        if (copies === group.copies()) candidates.push(...found);
      }
      candidates.sort((one, other) => one.usedAtMs - other.usedAtMs);
      const over = Math.max(
        limitBytes !== undefined && present > limitBytes ? present - limitBytes * leftShare : 0,
        isShort ? 2 * freeBytesMin - free : 0,
      );
      let [blocks, removed] = [0, 0];
      while (removed < over) {
        const next = candidates[blocks];
        if (next === undefined) break;
        await next.group.evict([next.id]);
        blocks += 1;
        removed += next.bytes;
      }
      ready = candidates.slice(blocks, blocks + readyMax);
      return { blocks, bytes: removed };
    },
    makeRoom(bytes) {
      let removed = 0;
      while (removed < bytes) {
        const next = ready.shift();
        if (next === undefined) break;
        rmSync(blockPath(next.group.folder, next.id), { force: true });
        removed += next.bytes;
      }
      return removed > 0;
    },
    forgetReady: () => void (ready = []),
  };
}

/** Blocks that are in the store for each volume of a group that has them. */
async function findStored(data: string): Promise<Set<string>> {
  const [stored, needed] = [new Set<string>(), new Set<string>()];
  for (const entry of await readdir(data, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    const path = join(data, entry.name, metadataName);
    for await (const name of namesOf(path)) (findPackPlace(name) === undefined ? needed : stored).add(blockId(name));
  }
  for (const id of needed) stored.delete(id);
  return stored;
}
