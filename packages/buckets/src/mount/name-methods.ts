import { constants } from 'node:fs';
import { SoulBoxError } from '@soulbox/base';
import { FuseError } from '@soulbox/fuse';
import type { FuseContext, FuseCreated, FuseEntry, FuseFs } from '@soulbox/fuse';
import { isChangedSince } from '../content/open-file.ts';
import type { OpenFile } from '../content/open-file.ts';
import type { Fact, FileFact } from '../names/facts.ts';
import { findPart, newKey } from '../names/keys.ts';
import { checkWritable, fileEntry, folderEntry, folderKeyOf, newNode, openFileEntry } from './bucket-mount.ts';
import type { BucketMount } from './bucket-mount.ts';

const { O_ACCMODE = 3, O_EXCL, O_RDONLY, O_TRUNC } = constants as typeof constants & { readonly O_ACCMODE?: number };
const typeBits = 0o170000;
const empty = Buffer.alloc(0);

type NameMethods = Required<
  Pick<FuseFs, 'lookup' | 'create' | 'mknod' | 'mkdir' | 'unlink' | 'rmdir' | 'symlink' | 'link'>
>;

/** Names: each is an object, or a folder that has objects. */
export function nameMethods(mount: BucketMount): NameMethods {
  const { store, state, facts, files } = mount;

  const findOpen = (key: string): OpenFile | undefined => {
    const nodeId = state.findNode(key);
    return nodeId === undefined ? undefined : files.find(nodeId);
  };
  /** An open file that is not in the store as it is here, or what the store has. */
  const find = async (key: string): Promise<Fact | OpenFile> => {
    const file = findOpen(key);
    if (file?.isDirty === true) return file;
    const version = file?.version;
    const fact = await facts.find(key);
    const now = findOpen(key);
    return now !== undefined && isChangedSince(now, version) ? now : fact;
  };
  const isFolder = (found: Fact | OpenFile): boolean => 'kind' in found && found.kind === 'folder';
  const isAbsent = (found: Fact | OpenFile): boolean => 'kind' in found && found.kind === 'absent';

  const createObject = async (key: string, context: FuseContext): Promise<string> => {
    try {
      const { version } = await store.put(key, empty, { condition: 'absent' });
      facts.change(key);
      return version;
    } catch (thrown) {
      facts.change(key);
      if (!isTaken(thrown)) throw thrown;
      // Perhaps by the process before this one, for the same request.
      const found = context.isResent ? await store.stat(key) : undefined;
      if (found?.sizeBytes !== 0) throw new FuseError('EEXIST');
      return found.version;
    }
  };
  const openNew = async (key: string, version: string | undefined, canWrite: boolean): Promise<FuseCreated> => {
    const nodeId = newNode(mount, key);
    const fact =
      version === undefined ? undefined : ({ kind: 'file', version, size: 0, modifiedMs: Date.now() } as const);
    const { file, fh } = files.open(nodeId, key, fact, canWrite);
    if (version === undefined) await files.truncate(file, 0);
    facts.change(key);
    return { entry: openFileEntry(mount, file), open: { fh } };
  };

  return {
    async lookup(parent, name) {
      const folder = folderKeyOf(mount, parent);
      if (findPart(name) === undefined) throw new FuseError('ENOENT');
      const key = newKey(folder, name);
      const found = await find(key);
      if (!('kind' in found)) return openFileEntry(mount, found);
      if (found.kind === 'absent') return { nodeId: 0, entryTtlMs: mount.absentMs };
      return found.kind === 'folder' ? folderEntry(mount, `${key}/`) : fileEntry(mount, key, found);
    },
    async create(parent, name, _mode, flags, context) {
      checkWritable(mount);
      const key = newKey(folderKeyOf(mount, parent), name);
      const found = await find(key);
      const canWrite = (flags & O_ACCMODE) !== O_RDONLY;
      if (isAbsent(found)) {
        // A file that must be new exists at once for everyone; others when they are closed.
        const version = (flags & O_EXCL) !== 0 ? await createObject(key, context) : undefined;
        return await openNew(key, version, canWrite);
      }
      if ((flags & O_EXCL) !== 0) {
        if (!isOwnNew(found, context)) throw new FuseError('EEXIST');
        return await openNew(key, found.version, canWrite);
      }
      if (isFolder(found)) throw new FuseError('EISDIR');
      const entry =
        'kind' in found ? fileEntry(mount, key, found as Fact & { kind: 'file' }) : openFileEntry(mount, found);
      const fact = 'kind' in found && found.kind === 'file' ? found : undefined;
      const { file, fh } = files.open(entry.nodeId, key, fact, canWrite);
      if ((flags & O_TRUNC) !== 0) await files.truncate(file, 0);
      return { entry: openFileEntry(mount, file), open: { fh } };
    },
    async mknod(parent, name, mode, _rdev, context): Promise<FuseEntry> {
      checkWritable(mount);
      if ((mode & typeBits) !== constants.S_IFREG) throw new FuseError('EPERM');
      const key = newKey(folderKeyOf(mount, parent), name);
      const found = await find(key);
      if (!isAbsent(found) && !isOwnNew(found, context)) throw new FuseError('EEXIST');
      const version = isOwnNew(found, context) ? found.version : await createObject(key, context);
      newNode(mount, key);
      return fileEntry(mount, key, { kind: 'file', version, size: 0, modifiedMs: Date.now() });
    },
    async mkdir(parent, name, _mode, context) {
      checkWritable(mount);
      const key = newKey(folderKeyOf(mount, parent), name);
      const found = await find(key);
      if (!isAbsent(found) && !(context.isResent && isFolder(found))) throw new FuseError('EEXIST');
      if (isAbsent(found)) await createObject(`${key}/`, context);
      facts.change(key, { kind: 'folder' });
      newNode(mount, `${key}/`);
      return folderEntry(mount, `${key}/`);
    },
    async unlink(parent, name, context) {
      checkWritable(mount);
      const folder = folderKeyOf(mount, parent);
      const key = newKey(folder, name);
      const found = await find(key);
      if (isFolder(found)) throw new FuseError('EISDIR');
      if (isAbsent(found) && !context.isResent) throw new FuseError('ENOENT');
      const nodeId = state.findNode(key);
      const file = findOpen(key);
      const isInStore = file === undefined || file.version !== undefined;
      if (file !== undefined) await files.keepContent(file);
      if (isInStore) await store.delete(key);
      if (nodeId !== undefined) state.detach(nodeId);
      facts.change(key);
      facts.keepFolder(folder);
    },
    async rmdir(parent, name, context) {
      checkWritable(mount);
      const folder = folderKeyOf(mount, parent);
      const key = newKey(folder, name);
      const found = await find(key);
      if (isAbsent(found) && !context.isResent) throw new FuseError('ENOENT');
      if (!isFolder(found) && !isAbsent(found)) throw new FuseError('ENOTDIR');
      const own = `${key}/`;
      const { objects } = await store.list({ prefix: own, limit: 2 });
      const isUsed = [...files.all()].some((file) => file.key?.startsWith(own) === true);
      if (isUsed || objects.some((object) => object.key !== own)) throw new FuseError('ENOTEMPTY');
      if (objects.length > 0) await store.delete(own);
      const nodeId = state.findNode(own);
      if (nodeId !== undefined) state.detach(nodeId);
      facts.dropFolder(own);
      facts.change(key);
      facts.keepFolder(folder);
    },
    symlink: refuse,
    link: refuse,
  };
}

/** An empty object that the process before this one has made for the same request, and was killed before its answer. */
function isOwnNew(found: Fact | OpenFile, { isResent }: FuseContext): found is FileFact {
  return isResent && 'kind' in found && found.kind === 'file' && found.size === 0;
}

function refuse(): never {
  throw new FuseError('EPERM');
}

/** `storage_precondition_failed` of a write that must be the first one. */
function isTaken(thrown: unknown): boolean {
  return thrown instanceof SoulBoxError && thrown.reason === 'storage_precondition_failed';
}
