import { constants } from 'node:fs';
import { FuseError } from '@soulbox/fuse';
import type { FuseFs } from '@soulbox/fuse';
import { isChangedSince } from '../content/open-file.ts';
import type { OpenHandle } from '../content/open-file.ts';
import { unlessInterrupted } from '../faults.ts';
import { attributesOf, inoOf } from '../names/attributes.ts';
import { isFolderKey } from '../names/keys.ts';
import { checkWritable, fileAttr, openFileAttr } from './bucket-mount.ts';
import type { BucketMount } from './bucket-mount.ts';

const { O_RDONLY, O_TRUNC } = constants;
const accessMode = 3;
const attrTtlMs = 0;

type FileMethods = Required<
  Pick<FuseFs, 'getattr' | 'setattr' | 'open' | 'read' | 'write' | 'flush' | 'fsync' | 'release' | 'statfs'>
>;

/** Content: programs read one version of an object, and write it as a whole. */
export function fileMethods(mount: BucketMount): FileMethods {
  const { state, facts, files, told } = mount;

  /** An open that does not fit what the kernel was told is repeated by it, from the beginning of the path. */
  const stale = (): FuseError => new FuseError('ESTALE');
  const openFile = async (nodeId: number, canWrite: boolean): Promise<OpenHandle> => {
    const known = files.find(nodeId);
    const key = known === undefined ? state.keyOf(nodeId) : known.key;
    if (known !== undefined && (known.isDirty || key === undefined)) return files.open(nodeId, '', undefined, canWrite);
    if (key === undefined) throw stale();
    if (isFolderKey(key)) throw new FuseError('EISDIR');
    const version = known?.version;
    const fact = await facts.ask(key);
    // It may have been opened, changed or removed meanwhile.
    const file = files.find(nodeId);
    if (file !== undefined && isChangedSince(file, version)) return files.open(nodeId, '', undefined, canWrite);
    if (fact === undefined || told.get(nodeId) !== fact.version) throw stale();
    if (file === undefined ? state.keyOf(nodeId) !== key : file.version !== fact.version) throw stale();
    return files.open(nodeId, key, fact, canWrite);
  };
  const writableHandle = (fh: number): OpenHandle => {
    const handle = files.handleOf(fh);
    if (!handle.canWrite) throw new FuseError('EBADF');
    return handle;
  };

  const getattr: FileMethods['getattr'] = async (nodeId) => {
    const file = files.find(nodeId);
    if (file !== undefined) return { attr: openFileAttr(mount, file), attrTtlMs };
    const key = state.keyOf(nodeId);
    if (key === undefined) throw stale();
    if (isFolderKey(key)) return { attr: attributesOf(inoOf(key), 'folder', mount), attrTtlMs };
    const fact = await facts.find(key);
    if (fact.kind !== 'file') throw stale();
    told.set(nodeId, fact.version);
    return { attr: fileAttr(mount, key, fact), attrTtlMs };
  };

  return {
    getattr,
    async setattr(nodeId, changes, context) {
      checkWritable(mount);
      const { size, fh } = changes;
      if (size !== undefined && fh !== undefined) await files.truncate(writableHandle(fh).file, size);
      else if (size !== undefined) {
        const handle = await openFile(nodeId, true);
        try {
          await files.truncate(handle.file, size);
          await files.flush(handle.file);
        } finally {
          await files.release(handle);
        }
      }
      // Owners, permissions and times are accepted without effect: the object has none.
      return await getattr(nodeId, undefined, context);
    },
    async open(nodeId, flags) {
      const canWrite = (flags & accessMode) !== O_RDONLY;
      if (canWrite || (flags & O_TRUNC) !== 0) checkWritable(mount);
      const handle = await openFile(nodeId, canWrite);
      if ((flags & O_TRUNC) === 0) return { fh: handle.fh };
      try {
        await files.truncate(handle.file, 0);
      } catch (error) {
        await files.release(handle);
        throw error;
      }
      return { fh: handle.fh };
    },
    read: async (_nodeId, fh, offset, size) => await files.read(files.handleOf(fh), offset, size),
    async write(_nodeId, fh, offset, data, _options, { signal }) {
      const handle = writableHandle(fh);
      // The first one may have to fetch the object. Later, the caller must wait: its data are used.
      await unlessInterrupted(files.prepare(handle.file), signal);
      await files.write(handle, offset, data);
      return data.length;
    },
    async flush(_nodeId, fh) {
      const handle = files.handleOf(fh);
      if (handle.canWrite) await files.flush(handle.file);
    },
    fsync: async (_nodeId, fh) => await files.flush(files.handleOf(fh).file),
    release: async (_nodeId, fh) => await files.release(files.handleOf(fh)),
    statfs: () => statfs,
  };
}

/** A bucket has no size. Programs ask whether there is room. */
const statfsBlocks = 2 ** 38;
const statfs = {
  ...{ blocks: statfsBlocks, bfree: statfsBlocks, bavail: statfsBlocks, bsize: 4096, frsize: 4096 },
  ...{ files: 2 ** 32, ffree: 2 ** 32, namelen: 255 },
};
