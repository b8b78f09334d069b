import { createLocks } from '@soulbox/base';
import { FuseError } from '@soulbox/fuse';
import type { ObjectStore } from '@soulbox/storage/objects';
import { openFilesMax } from '../limits.ts';
import type { FileFact } from '../names/facts.ts';
import type { MountState } from '../state/mount-state.ts';
import { createObjectReader } from './object-reader.ts';
import { dropReaders, saveFile, sizeOf } from './open-file.ts';
import type { OpenFile, OpenHandle } from './open-file.ts';
import type { ReadBudget } from './read-budget.ts';
import { openScratch } from './scratch.ts';
import type { Scratch, ScratchSpace } from './scratch.ts';
import { writeBack } from './write-back.ts';

export interface OpenFilesOptions {
  readonly store: ObjectStore;
  readonly state: MountState;
  /** Of scratch files. */
  readonly folder: string;
  readonly space: ScratchSpace;
  readonly budget: ReadBudget;
  /** The object of a file was written. */
  readonly onWritten: (file: OpenFile, key: string) => void;
  /** What was written to a file is lost, and no program hears of it. */
  readonly onLoss: (error: unknown) => void;
}

/** The open files of a mount. */
export interface OpenFiles {
  /** Continues with those of the process before. */
  adopt(): Promise<void>;
  find(nodeId: number): OpenFile | undefined;
  all(): Iterable<OpenFile>;
  /** Throws EBADF. */
  handleOf(fh: number): OpenHandle;
  /** With a fact, the content of an object; else a new file. Throws ENFILE. */
  open(nodeId: number, key: string, fact: FileFact | undefined, canWrite: boolean): OpenHandle;
  read(handle: OpenHandle, offset: number, size: number): Promise<Uint8Array | readonly Uint8Array[]>;
  /** Gets what a write needs. */
  prepare(file: OpenFile): Promise<void>;
  write(handle: OpenHandle, offset: number, data: Uint8Array): Promise<void>;
  truncate(file: OpenFile, size: number): Promise<void>;
  /** Returns when the store has all that was written. */
  flush(file: OpenFile): Promise<void>;
  release(handle: OpenHandle): Promise<void>;
  /** Gets the content of an object that will be removed. From now on the file has no name. */
  keepContent(file: OpenFile): Promise<void>;
  /** The object has another key and version. */
  moved(file: OpenFile, key: string, version: string): void;
  /** Closes local files and leaves everything to the next process. */
  close(): Promise<void>;
}

export function createOpenFiles(options: OpenFilesOptions): OpenFiles {
  const { store, state, folder, space, budget, onWritten, onLoss } = options;
  const files = new Map<number, OpenFile>();
  const handles = new Map<number, OpenHandle>();
  /** One change, download or upload of a file at a time. */
  const locks = createLocks();
  const alone = async <T>(file: OpenFile, work: () => Promise<T>): Promise<T> =>
    await locks.alone(String(file.nodeId), work);

  /** The scratch file with the first `size` bytes of the object. */
  const scratchOf = async (file: OpenFile, size: number): Promise<Scratch> => {
    if (file.scratch !== undefined) return file.scratch;
    const scratch = await openScratch(folder, space);
    try {
      if (file.key !== undefined && size > 0) await download(store, { ...file, key: file.key }, size, scratch);
    } catch (error) {
      await scratch.remove();
      throw error;
    }
    file.scratch = scratch;
    dropReaders(file);
    saveFile(state, file);
    return scratch;
  };
  const markChanged = (file: OpenFile): void => {
    file.modifiedMs = Date.now();
    file.hasToldError = false;
    if (file.isDirty) return;
    file.isDirty = true;
    saveFile(state, file);
  };
  const upload = async (file: OpenFile): Promise<void> => {
    const { key, scratch } = file;
    if (!file.isDirty || key === undefined || scratch === undefined) return;
    if (file.hasConflict) throw new FuseError('ESTALE', 'The object was changed by somebody else.');
    const version = await writeBack(store, file, key, scratch);
    file.version = version;
    file.isDirty = false;
    saveFile(state, file);
    onWritten(file, key);
  };
  const addHandle = (file: OpenFile, fh: number, canWrite: boolean): OpenHandle => {
    const handle = { fh, file, canWrite, reader: undefined };
    file.handles.add(handle);
    handles.set(fh, handle);
    return handle;
  };
  const dropIfUnused = async (file: OpenFile): Promise<void> => {
    if (file.handles.size > 0 || files.get(file.nodeId) !== file) return;
    files.delete(file.nodeId);
    state.removeFile(file.nodeId);
    await file.scratch?.remove();
  };
  const finish = async (file: OpenFile): Promise<void> =>
    await alone(file, async () => {
      try {
        await upload(file);
      } catch (error) {
        onLoss(error);
      } finally {
        await dropIfUnused(file);
      }
    });

  return {
    async adopt() {
      for (const { scratch, ...facts } of state.files()) {
        const opened = scratch === undefined ? undefined : await openScratch(folder, space, scratch);
        files.set(facts.nodeId, {
          ...facts,
          scratch: opened,
          hasConflict: false,
          hasToldError: false,
          handles: new Set(),
        });
      }
      for (const { fh, nodeId, canWrite } of state.handles()) {
        const file = files.get(nodeId);
        if (file !== undefined) addHandle(file, fh, canWrite);
      }
      // Closed, but the process was killed before it was done.
      for (const file of files.values()) if (file.handles.size === 0) void finish(file);
    },
    find: (nodeId) => files.get(nodeId),
    all: () => files.values(),
    handleOf(fh) {
      const handle = handles.get(fh);
      if (handle === undefined) throw new FuseError('EBADF');
      return handle;
    },
    open(nodeId, key, fact, canWrite) {
      if (handles.size >= openFilesMax)
        throw new FuseError('ENFILE', `A mount of a bucket has ${openFilesMax} open files.`);
      let file = files.get(nodeId);
      if (file === undefined) {
        const { version, size, modifiedMs } = fact ?? { version: undefined, size: 0, modifiedMs: Date.now() };
        file = { ...{ nodeId, key, version, size, modifiedMs }, ...newContent, handles: new Set() };
        files.set(nodeId, file);
        saveFile(state, file);
      }
      return addHandle(file, state.addHandle(nodeId, canWrite), canWrite);
    },
    async read(handle, offset, size) {
      const { file } = handle;
      const { scratch, key, version } = file;
      if (scratch !== undefined) return await scratch.read(offset, size);
      if (key === undefined || version === undefined) return [];
      handle.reader ??= createObjectReader(store, { key, version, size: file.size }, budget);
      return await handle.reader.read(offset, size);
    },
    async prepare(file) {
      if (file.scratch === undefined) await alone(file, async () => await scratchOf(file, file.size));
    },
    async write({ file }, offset, data) {
      await alone(file, async () => {
        const scratch = await scratchOf(file, file.size);
        // First: a process that is killed in between must not forget it.
        markChanged(file);
        await scratch.write(offset, data);
      });
    },
    async truncate(file, size) {
      await alone(file, async () => {
        if (sizeOf(file) === size && file.scratch === undefined && size === file.size && file.version !== undefined)
          return;
        const scratch = await scratchOf(file, Math.min(size, file.size));
        markChanged(file);
        await scratch.truncate(size);
      });
    },
    async flush(file) {
      if (!file.isDirty) return;
      try {
        await alone(file, async () => await upload(file));
      } catch (error) {
        file.hasToldError = true;
        throw error;
      }
    },
    async release(handle) {
      const { file, fh } = handle;
      handles.delete(fh);
      file.handles.delete(handle);
      handle.reader?.[Symbol.dispose]();
      await alone(file, async () => {
        try {
          const isLast = ![...file.handles].some(({ canWrite }) => canWrite);
          // Written through a mapping, or the store was away when it was closed.
          if (isLast && handle.canWrite) await upload(file);
        } catch (error) {
          if (!file.hasToldError) onLoss(error);
        } finally {
          state.removeHandle(fh);
          await dropIfUnused(file);
        }
      });
    },
    async keepContent(file) {
      await alone(file, async () => {
        await scratchOf(file, file.size);
        file.key = undefined;
        saveFile(state, file);
      });
    },
    moved(file, key, version) {
      file.key = key;
      file.version = version;
      dropReaders(file);
      saveFile(state, file);
    },
    async close() {
      for (const file of files.values()) {
        dropReaders(file);
        await file.scratch?.close();
      }
      files.clear();
      handles.clear();
    },
  };
}

const newContent = { scratch: undefined, isDirty: false, hasConflict: false, hasToldError: false };

async function download(
  store: ObjectStore,
  { key, version }: { readonly key: string; readonly version: string | undefined },
  size: number,
  scratch: Scratch,
): Promise<void> {
  const { body } = await store.get(key, { range: { offset: 0, length: size }, version });
  let offset = 0;
  try {
    for await (const chunk of body) {
      await scratch.write(offset, chunk);
      offset += chunk.length;
    }
  } finally {
    body.destroy();
  }
  if (offset !== size) throw new FuseError('EIO', 'The store sent less than the object has.');
}
