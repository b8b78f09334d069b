import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorFromUnknown, isNodeError, randomId } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { FuseError } from '@soulbox/fuse';
import { blockId, findPackPlace } from '../blocks/block-names.ts';
import type { PackPlace } from '../blocks/block-names.ts';
import type { BlockStore } from '../blocks/block-store.ts';
import { blockPath, openDiskBlocks } from '../blocks/disk.ts';
import type { PackReader } from './pack-reader.ts';
import type { OpenedPack, PackUnit } from './packs.ts';

/** Blocks that this process has stored and whose place it remembers. */
const recentMax = 50_000;
/** Fetched files that wait for the disk. Each pack in memory can be one of them. */
const fetchedFolderName = 'fetched';

/**
 * The blocks of a group of volumes: files on the disk, which are a cache for those that are in the object store, and are
 * all there is of the others.
 */
export interface GroupBlocks {
  readonly group: string;
  readonly folder: string;
  /** For one volume. The files stay open until all handles are closed. */
  handle(): BlockStore;
  /** Blocks that nothing needs any more stay on the disk until `release`: all of them, or those with these ids. */
  hold(ids: ReadonlySet<string> | 'all'): Promise<void>;
  release(): Promise<void>;
  /** Where this process has stored a block, if the first `length` bytes of it. */
  findStored(name: string, length: number): PackPlace | undefined;
  noteStored(name: string, place: PackPlace): void;
  /** The places do not count any more. */
  forgetStored(packs: ReadonlySet<string>): void;
  /** Writes what was fetched to the disk, for later reads. */
  keep(opened: OpenedPack): Promise<void>;
  /** Removes blocks from the disk that are in the store. */
  evict(ids: readonly string[]): Promise<void>;
  readonly isOpen: () => boolean;
}

export interface GroupBlocksOptions {
  readonly group: string;
  readonly folder: string;
  readonly reader: PackReader;
  /** Called for each read, also of a block that is not on the disk. */
  readonly onRead: (id: string) => void;
  /** Called when the disk has no room for so many bytes. Whether there is some now. */
  readonly makeRoom: (bytes: number) => boolean;
  readonly logger: Logger;
}

export function openGroupBlocks({ group, folder, reader, onRead, makeRoom, logger }: GroupBlocksOptions): GroupBlocks {
  const disk = openDiskBlocks(folder);
  const recent = new Map<string, PackPlace>();
  const deferred = new Set<string>();
  let held: ReadonlySet<string> | 'all' = new Set();
  let handles = 0;

  const isHeld = (name: string): boolean => held === 'all' || held.has(blockId(name));
  const placeOf = (name: string): PackPlace | undefined => findPackPlace(name) ?? recent.get(blockId(name));
  const fetchInto = async (name: string, place: PackPlace, target: Buffer, offset: number): Promise<void> => {
    try {
      const { bytes } = await reader.read(group, place.pack);
      if (offset + target.length > place.length || place.at + place.length > bytes.length)
        throw new FuseError('EIO', `Block ${name} is shorter in the object store than its metadata say.`);
      bytes.copy(target, 0, place.at + offset, place.at + offset + target.length);
    } catch (thrown) {
      const { reason } = errorFromUnknown(thrown);
      logger.error(
        { err: thrown, groupId: group, block: blockId(name), pack: place.pack, reason },
        'a block of a volume cannot be read from the object store',
      );
      throw new FuseError('EIO', 'A block cannot be read from the object store.');
    }
  };
  /** What is not on the disk, or not as a whole, comes from the store. */
  const readMissing = (thrown: unknown, name: string, target: Buffer, offset: number): Promise<void> => {
    const place = placeOf(name);
    if (place === undefined) throw thrown;
    return fetchInto(name, place, target, offset);
  };
  const isShorter = async (unit: PackUnit, path: string): Promise<boolean> =>
    ((await stat(path).catch(ignoreMissing))?.size ?? -1) < unit.length;
  const keepUnit = async (unit: PackUnit, id: string, bytes: Buffer): Promise<void> => {
    const path = blockPath(folder, id);
    if (!(await isShorter(unit, path))) return;
    const draft = join(folder, fetchedFolderName, `${id}.${randomId(8)}`);
    try {
      await writeFile(draft, bytes.subarray(unit.at, unit.at + unit.length), { mode: 0o600 });
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      if (!(await isShorter(unit, path))) return;
      // Descriptors of a shorter file are closed first.
      await disk.remove([id]);
      await rename(draft, path);
    } finally {
      await rm(draft, { force: true });
    }
  };
  /** A block on the disk, as a whole. */
  const bring = async (name: string): Promise<void> => {
    const place = findPackPlace(name);
    if (place === undefined) return;
    const unit = { id: blockId(name), ...place };
    if (!(await isShorter(unit, blockPath(folder, name)))) return;
    const bytes = Buffer.allocUnsafe(place.length);
    await fetchInto(name, place, bytes, 0);
    try {
      await mkdir(join(folder, fetchedFolderName), { recursive: true, mode: 0o700 });
      await keepUnit({ ...unit, at: 0 }, unit.id, bytes);
    } catch (error) {
      const isFull = isNodeError(error) && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
      throw new FuseError(isFull ? 'ENOSPC' : 'EIO', `A block cannot be written: ${String(error)}`);
    }
  };
  const remove = async (names: readonly string[]): Promise<void> => {
    const now: string[] = [];
    for (const name of names)
      if (isHeld(name)) deferred.add(blockId(name));
      else now.push(name);
    await disk.remove(now);
  };
  const blocks: BlockStore = {
    ...disk,
    read(name, target, offset) {
      onRead(blockId(name));
      try {
        const reading = disk.read(name, target, offset);
        if (!(reading instanceof Promise)) return;
        return reading.catch(async (thrown: unknown) => {
          await readMissing(thrown, name, target, offset);
        });
      } catch (thrown) {
        return readMissing(thrown, name, target, offset);
      }
    },
    peek(name, offset, length) {
      const place = findPackPlace(name);
      if (place === undefined || offset + length > place.length) return undefined;
      const bytes = reader.peek(group, place.pack)?.bytes;
      // What is wrong with it is for `read` to say.
      if (bytes === undefined || place.at + place.length > bytes.length) return undefined;
      onRead(blockId(name));
      return bytes.subarray(place.at + offset, place.at + offset + length);
    },
    async copy(from, to, length) {
      onRead(blockId(from));
      await bring(from);
      await disk.copy(from, to, length);
    },
    async digest(name, length) {
      await bring(name);
      return await disk.digest(name, length);
    },
    remove,
    checkRoom(bytes) {
      try {
        disk.checkRoom(bytes);
      } catch (error) {
        if (!makeRoom(bytes)) throw error;
        disk.checkRoom(bytes);
      }
    },
  };
  const releaseAll = async (): Promise<void> => {
    const names = [...deferred].filter((id) => !isHeld(id));
    for (const id of names) deferred.delete(id);
    await disk.remove(names);
  };
  return {
    group,
    folder,
    handle() {
      handles += 1;
      let isClosed = false;
      return {
        ...blocks,
        close() {
          if (isClosed) return;
          isClosed = true;
          handles -= 1;
          if (handles === 0) disk.close();
        },
      };
    },
    async hold(ids) {
      held = ids;
      await releaseAll();
    },
    async release() {
      held = new Set();
      await releaseAll();
    },
    findStored(name, length) {
      const place = recent.get(blockId(name));
      return place !== undefined && place.length >= length ? place : undefined;
    },
    noteStored(name, place) {
      recent.set(blockId(name), place);
      for (const oldest of recent.keys()) if (recent.size > recentMax) recent.delete(oldest);
    },
    forgetStored(packs) {
      for (const [id, { pack }] of recent) if (packs.has(pack)) recent.delete(id);
    },
    async keep({ bytes, units }) {
      await mkdir(join(folder, fetchedFolderName), { recursive: true, mode: 0o700 });
      for (const unit of units) if (unit.id !== undefined) await keepUnit(unit, unit.id, bytes);
    },
    evict: async (ids) => await disk.remove(ids),
    isOpen: () => handles > 0,
  };
}

/** Files that a killed process was writing. */
export async function removeFetchedDrafts(folder: string): Promise<void> {
  await rm(join(folder, fetchedFolderName), { recursive: true, force: true });
}

function ignoreMissing(error: unknown): undefined {
  if (!isNodeError(error) || error.code !== 'ENOENT') throw error;
}
