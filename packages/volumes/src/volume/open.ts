import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { createLocks, systemClock } from '@soulbox/base';
import type { Clock, Logger } from '@soulbox/base';
import type { Awaitable, FuseTime } from '@soulbox/fuse';
import type { DiskReserve } from '@soulbox/storage';
import { openDiskBlocks } from '../blocks/disk.ts';
import type { BlockStore } from '../blocks/block-store.ts';
import { createFileLocks } from '../locks/file-locks.ts';
import type { FileLocks } from '../locks/file-locks.ts';
import type { Inode } from '../metadata/inode.ts';
import type { AttributeChanges, BlockPlace, Metadata, NewNode, Note, Place, RenameMode } from '../metadata/metadata.ts';
import { createSqliteMetadata } from '../metadata/sqlite/create.ts';
import type { NewVolume } from '../metadata/sqlite/create.ts';
import { openSqliteMetadata } from '../metadata/sqlite/open.ts';
import { createFreedRoom } from './freed-room.ts';
import { createGate } from './gate.ts';
import { allocateRange, clearRange, seekFile } from './holes.ts';
import { createPins } from './pins.ts';
import type { Pins } from './pins.ts';
import { readFile } from './read.ts';
import { blocksPath, metadataPath } from './places.ts';
import { createSyncer } from './syncer.ts';
import { writeFile } from './write.ts';
import type { WriteOptions } from './write.ts';

/** What nobody asked to be flushed is lost with the host only if it is younger than this. */
const backgroundSyncMs = 5000;
/** So many transactions make the log of the metadata longer than it should be: the next process reads it before its first answer. */
const commitsPerSync = 600;
const orphansAtOnce = 1000;
/** What a new name can cost on the disk. */
const nameRoomBytes = 16 * 1024;

export interface Range {
  readonly offset: number;
  readonly length: number;
  readonly keepSize: boolean;
}

/** One volume, opened for changes by one process, for any number of mounts and other users. */
export interface Volume extends AsyncDisposable {
  readonly metadata: Metadata;
  readonly blocks: BlockStore;
  readonly pins: Pins;
  readonly locks: FileLocks;
  readonly read: (ino: number, offset: number, size: number) => Awaitable<Buffer>;
  readonly write: (ino: number, data: Uint8Array, options: WriteOptions) => Promise<number>;
  readonly create: (parent: number, name: Uint8Array, node: NewNode, note?: Note<Inode>) => Promise<Inode>;
  readonly unlink: (parent: number, name: Uint8Array, note?: Note<unknown>) => Promise<void>;
  readonly removeFolder: (parent: number, name: Uint8Array, note?: Note<unknown>) => Promise<void>;
  readonly rename: (from: Place, to: Place, mode: RenameMode, note?: Note<unknown>) => Promise<void>;
  readonly setAttributes: (ino: number, changes: AttributeChanges, note?: Note<Inode>) => Promise<Inode>;
  readonly allocate: (ino: number, range: Range) => Promise<void>;
  readonly clear: (ino: number, range: Range) => Promise<void>;
  /** Gives a file a name in place of what has it now. */
  readonly replace: (ino: number, parent: number, name: Uint8Array) => Promise<void>;
  /** Computes the digest of a block that has none, while nobody writes to it. */
  readonly digestBlock: (place: BlockPlace) => Promise<void>;
  readonly seek: (ino: number, offset: number, wanted: 'data' | 'hole') => Promise<number>;
  /** Everything that was answered before survives a crash of the host. */
  readonly sync: () => Promise<void>;
  /** A holder no longer knows a file. Without names and holders, it is deleted. */
  readonly forget: (holder: string, ino: number) => void;
  /** A mount, or another holder of files, is gone for good: its locks end, and files that only it could reach. */
  readonly removeHolder: (holder: string) => Promise<void>;
  /**
   * Runs `work` in a moment when no data are being written, after which blocks of before are not changed any more.
   * `isShared`: nor deleted, because a copy has them.
   */
  readonly atRest: <T>(work: () => T, options?: { readonly isShared: boolean }) => Promise<T>;
  /** Until it is disposed, blocks that the volume no longer needs stay. Those that copies share are left to a sweep. */
  readonly keepFreed: () => Disposable;
}

export interface VolumeOptions {
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** Opens the blocks in a folder. Default: files on the disk. */
  readonly openBlocks?: (folder: string) => BlockStore;
  /** For deletes on a full disk. */
  readonly reserve?: DiskReserve;
}

const timeOf = (clock: Clock): FuseTime => {
  const ms = clock.now();
  const sec = Math.floor(ms / 1000);
  return { sec, nsec: Math.floor((ms - sec * 1000) * 1e6) };
};

/** Makes an empty volume. Throws if it exists. */
export function createVolume(data: string, volume: Omit<NewVolume, 'now'>, clock: Clock = systemClock): void {
  mkdirSync(dirname(metadataPath(data, volume.id)), { recursive: true, mode: 0o700 });
  createSqliteMetadata(metadataPath(data, volume.id), { ...volume, now: timeOf(clock) });
}

/** Opens a volume. The caller makes sure that no other process has it open. */
export async function openVolume(data: string, id: string, options: VolumeOptions = {}): Promise<Volume> {
  const { clock = systemClock, logger, reserve, openBlocks = openDiskBlocks } = options;
  const blocks = openBlocks(blocksPath(data));
  const freed = (names: readonly string[]): void => {
    syncer.freed(names);
  };
  const records = openSqliteMetadata(metadataPath(data, id), {
    now: () => timeOf(clock),
    freed,
    makeRoom: () => releaseSpace(reserve),
  });
  const room = createFreedRoom(records);
  const metadata: Metadata = {
    ...records,
    create: (...change) => room.retry(() => records.create(...change)),
    createOrphan: (...change) => room.retry(() => records.createOrphan(...change)),
    link: (...change) => room.retry(() => records.link(...change)),
    setXattr: (...change) => room.retry(() => records.setXattr(...change)),
  };
  const syncer = createSyncer({ metadata, blocks });
  const files = createLocks();
  const gate = createGate();
  const pins = createPins();
  const tools = { metadata, blocks };
  const locks = await createFileLocks(metadata.locks);

  const logFailure = (error: unknown): void => {
    logger?.warn({ volumeId: id, error }, 'background work of a volume failed');
  };
  let backgroundCommit = metadata.facts().commit;
  const syncInBackground = (): void => {
    const { commit } = metadata.facts();
    if (commit === backgroundCommit) return;
    backgroundCommit = commit;
    syncer.sync().catch(logFailure);
  };
  const timer = setInterval(syncInBackground, backgroundSyncMs);
  timer.unref();
  /** Called for each change: a log that grows is written back early. */
  const noteChange = (): void => {
    if (metadata.facts().commit - backgroundCommit > commitsPerSync) syncInBackground();
  };

  const reap = async (ino: number): Promise<void> => {
    if (pins.has(ino)) return;
    while (!(await metadata.reap(ino)));
    room.note();
  };
  const reapLater = (ino: number | undefined): void => {
    if (ino !== undefined) reap(ino).catch(logFailure);
  };
  const aloneWith = <T>(ino: number, work: () => Promise<T>): Promise<T> => {
    noteChange();
    return files.alone(String(ino), () => gate.pass(work));
  };
  let isOpen = true;
  const volume: Volume = {
    metadata,
    blocks,
    pins,
    locks,
    read: (ino, offset, size) => readFile(tools, ino, offset, size),
    write: (ino, bytes, how) => room.retry(() => aloneWith(ino, () => writeFile(tools, ino, bytes, how))),
    async create(parent, name, node, note) {
      noteChange();
      blocks.checkRoom(nameRoomBytes);
      return await metadata.create(parent, name, node, note);
    },
    async unlink(parent, name, note) {
      noteChange();
      reapLater(await metadata.unlink(parent, name, note));
    },
    async removeFolder(parent, name, note) {
      noteChange();
      reapLater(await metadata.removeFolder(parent, name, note));
    },
    async rename(from, to, mode, note) {
      noteChange();
      reapLater(await metadata.rename(from, to, mode, note));
    },
    async replace(ino, parent, name) {
      noteChange();
      reapLater(await metadata.replace(ino, parent, name));
    },
    digestBlock: ({ ino, index }) =>
      aloneWith(ino, async () => {
        const [block] = await metadata.blocks(ino, index, index);
        if (block === undefined || block.digest !== undefined || typeof block.content !== 'string') return;
        await metadata.setDigest(ino, block, await blocks.digest(block.content, block.length));
      }),
    setAttributes(ino, changes, note) {
      const set = (): Promise<Inode> => metadata.setAttributes(ino, changes, note);
      if (changes.size !== undefined) return aloneWith(ino, set);
      noteChange();
      return set();
    },
    allocate: (ino, range) => room.retry(() => aloneWith(ino, () => allocateRange(tools, ino, range))),
    clear: (ino, range) => aloneWith(ino, () => clearRange(tools, ino, range)),
    seek: (ino, offset, wanted) => seekFile(tools, ino, offset, wanted),
    sync: () => syncer.sync(),
    forget(holder, ino) {
      pins.drop(holder, ino);
      const reapOrphan = (inode: Inode | undefined): void => {
        if (inode?.nlink !== 0) return;
        // The kernel forgets all that it knew at once, and cannot find a file without names again.
        pins.dropOrphan(holder, ino);
        reapLater(ino);
      };
      Promise.resolve(metadata.find(ino)).then(reapOrphan).catch(logFailure);
    },
    async removeHolder(holder) {
      pins.removeHolder(holder);
      locks.removeMount(holder);
      await metadata.locks.removeMount(holder);
      for (let last = 0; ;) {
        const orphans = await metadata.listOrphans(last, orphansAtOnce);
        for (const ino of orphans) await reap(ino);
        last = orphans.at(-1) ?? 0;
        if (orphans.length < orphansAtOnce) return;
      }
    },
    atRest: (work, { isShared } = { isShared: true }) =>
      gate.close(async () => {
        await metadata.beginGeneration({ isShared });
        return work();
      }),
    keepFreed() {
      const hold = syncer.hold();
      return {
        [Symbol.dispose]() {
          hold[Symbol.dispose]();
          if (isOpen) syncer.sync().catch(logFailure);
        },
      };
    },
    [Symbol.asyncDispose]: async () => {
      if (!isOpen) return;
      isOpen = false;
      clearInterval(timer);
      try {
        await syncer.sync();
      } finally {
        await metadata[Symbol.asyncDispose]();
        blocks.close();
      }
    },
  };
  return volume;
}

/** False if there is nothing left to release. */
function releaseSpace(reserve: DiskReserve | undefined): boolean {
  const before = reserve?.heldBytes() ?? 0;
  if (reserve === undefined || before === 0) return false;
  reserve.makeRoom();
  return reserve.heldBytes() < before;
}
