import { errorFromNode } from '@soulbox/base';
import { FuseError } from '@soulbox/fuse';
import { fileType, folderType, isFile, isFolder, linkType, typeOf } from '../metadata/inode.ts';
import type { Inode } from '../metadata/inode.ts';
import type { Entry } from '../metadata/metadata.ts';
import type { Volume } from '../volume/open.ts';
import { entryOf } from './entry.ts';
import type { PathEntry } from './entry.ts';
import { removeTreeOf } from './remove.ts';
import { resolvePath } from './resolve.ts';
import type { Resolved } from './resolve.ts';

const pieceBytes = 1024 * 1024;
const entriesAtOnce = 500;

export interface ListOptions {
  /** 1 lists the folder alone. */
  readonly depth: number;
  /** Entries at most. */
  readonly limit: number;
}

export interface ListResult {
  /** Each folder before what is in it, level by level. */
  readonly entries: readonly PathEntry[];
  /** There are more. */
  readonly isCut: boolean;
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface WriteFileOptions extends Owner {
  readonly mode: number;
  /** Makes missing folders, too. */
  readonly parents?: boolean;
  /** Throws `file_exists` if there is something. */
  readonly createOnly?: boolean;
  readonly signal?: AbortSignal;
}

/** The file is kept, even if it is removed, until the stream has ended or this is disposed of. */
export interface ReadResult extends Disposable {
  readonly entry: PathEntry;
  /** From this byte, this many. */
  readonly offset: number;
  readonly length: number;
  readonly stream: AsyncIterable<Buffer>;
}

/** The files of a volume for a caller that has no mount of it. It may do everything; errors are `SoulBoxError`s. */
export interface VolumePaths {
  readonly list: (path: string, options: ListOptions) => Promise<ListResult>;
  /** A link is described, not followed. */
  readonly stat: (path: string) => Promise<PathEntry>;
  /** `end` is exclusive. What lies behind the end of the file is left out. */
  readonly read: (path: string, range?: { readonly start?: number; readonly end?: number }) => Promise<ReadResult>;
  /**
   * Writes a file as a whole: a reader finds the old one or the new one, never a part. A file that exists keeps its owner
   * and permissions.
   */
  readonly write: (path: string, content: AsyncIterable<Uint8Array>, options: WriteFileOptions) => Promise<PathEntry>;
  readonly makeFolder: (
    path: string,
    options: Owner & { readonly mode: number; readonly parents?: boolean },
  ) => Promise<PathEntry>;
  readonly setAttributes: (
    path: string,
    changes: { readonly mode?: number; readonly uid?: number; readonly gid?: number },
  ) => Promise<PathEntry>;
  readonly rename: (from: string, to: string, options: { readonly replace: boolean }) => Promise<PathEntry>;
  readonly remove: (
    path: string,
    options: { readonly recursive: boolean; readonly signal?: AbortSignal },
  ) => Promise<void>;
}

let lastUse = 0;

export function openPaths(volume: Volume): VolumePaths {
  const { metadata, pins } = volume;

  const describe = async (path: string, inode: Inode): Promise<PathEntry> => {
    const isLink = typeOf(inode.mode) === linkType;
    return entryOf(path, inode, isLink ? await metadata.readTarget(inode.ino) : undefined);
  };
  const get = ({ inode }: Resolved): Inode => {
    if (inode === undefined) throw new FuseError('ENOENT');
    return inode;
  };
  const find = (path: string, followLast = false): Promise<Resolved> => resolvePath(metadata, path, { followLast });
  const describeAt = async (path: string): Promise<PathEntry> => await describe(cleaned(path), get(await find(path)));
  const allOf = async (folder: number, limit: number): Promise<Entry[]> => {
    const all: Entry[] = [];
    for (let after = 0; all.length < limit;) {
      const some = await metadata.list(folder, after, Math.min(entriesAtOnce, limit - all.length));
      all.push(...some);
      const last = some.at(-1);
      if (last === undefined) break;
      after = last.seq;
    }
    return all;
  };
  const makeFolders = async (path: string, node: Owner & { readonly mode: number }): Promise<void> => {
    const parts = cleaned(path).split('/').slice(1);
    for (let count = 1; count <= parts.length; count += 1) {
      const { folder, name, inode } = await find(`/${parts.slice(0, count).join('/')}`, true);
      if (inode !== undefined) {
        if (!isFolder(inode)) throw new FuseError('ENOTDIR');
        continue;
      }
      await makeIfMissing(folder.ino, name, node);
    }
  };
  const makeIfMissing = async (
    parent: number,
    name: Buffer,
    node: Owner & { readonly mode: number },
  ): Promise<void> => {
    try {
      await volume.create(parent, name, { ...node, mode: folderType | (node.mode & 0o7777) });
    } catch (thrown) {
      // Somebody else was faster.
      if (!(thrown instanceof FuseError) || thrown.code !== 'EEXIST') throw thrown;
    }
  };

  /** A file that is read or written outlives its name. Each use is a holder of its own. */
  const hold = (ino: number): (() => void) => {
    lastUse += 1;
    const holder = `paths-${lastUse}`;
    let isHeld = true;
    pins.add(holder, ino);
    return () => {
      if (isHeld) volume.forget(holder, ino);
      pins.removeHolder(holder);
      isHeld = false;
    };
  };

  async function* piecesOf(
    ino: number,
    { offset, length }: { readonly offset: number; readonly length: number },
    release: () => void,
  ): AsyncGenerator<Buffer> {
    try {
      for (let done = 0; done < length;) {
        const piece = await volume.read(ino, offset + done, Math.min(pieceBytes, length - done));
        // It was made shorter meanwhile: a response of the promised length is not possible any more.
        if (piece.length === 0) throw new FuseError('EIO', 'The file became shorter while it was read.');
        done += piece.length;
        yield piece;
      }
    } finally {
      release();
    }
  }

  const methods: VolumePaths = {
    async list(path, { depth, limit }) {
      const root = get(await find(path, true));
      if (!isFolder(root)) throw new FuseError('ENOTDIR');
      const entries: PathEntry[] = [];
      let level = [{ path: cleaned(path), ino: root.ino }];
      for (let left = depth; left > 0 && level.length > 0; left -= 1) {
        const next: typeof level = [];
        for (const folder of level) {
          for (const { name, inode } of await allOf(folder.ino, limit - entries.length + 1)) {
            if (entries.length >= limit) return { entries, isCut: true };
            const child = `${folder.path}/${Buffer.from(name).toString()}`;
            entries.push(await describe(child, inode));
            if (isFolder(inode)) next.push({ path: child, ino: inode.ino });
          }
        }
        level = next;
      }
      return { entries, isCut: false };
    },
    stat: describeAt,
    async read(path, { start = 0, end = Infinity } = {}) {
      const inode = get(await find(path, true));
      if (isFolder(inode)) throw new FuseError('EISDIR');
      if (!isFile(inode)) throw new FuseError('ENXIO');
      const offset = Math.min(start, inode.size);
      const length = Math.max(0, Math.min(end, inode.size) - offset);
      const range = { offset, length };
      const release = hold(inode.ino);
      const stream = translated(piecesOf(inode.ino, range, release), path);
      return { ...range, entry: entryOf(cleaned(path), inode, undefined), stream, [Symbol.dispose]: release };
    },
    async write(path, content, { uid, gid, mode, parents = false, createOnly = false, signal }) {
      const folderPath = cleaned(path).replace(/\/[^/]*$/, '');
      if (parents) await makeFolders(folderPath, { uid, gid, mode: 0o755 });
      const { folder, name, inode: old } = await find(path, true);
      if (name.length === 0 || (old !== undefined && isFolder(old))) throw new FuseError('EISDIR');
      if (old !== undefined && createOnly) throw new FuseError('EEXIST');
      const node = { uid, gid, mode, ...(old === undefined ? {} : { uid: old.uid, gid: old.gid, mode: old.mode }) };
      const made = await metadata.createOrphan(folder.ino, { ...node, mode: fileType | (node.mode & 0o7777) });
      const release = hold(made.ino);
      try {
        for await (const piece of content) {
          signal?.throwIfAborted();
          for (let start = 0; start < piece.length; start += pieceBytes)
            await volume.write(made.ino, piece.subarray(start, start + pieceBytes), { offset: 'end' });
        }
        if (createOnly) await metadata.link(made.ino, folder.ino, name);
        else await volume.replace(made.ino, folder.ino, name);
      } finally {
        release();
      }
      return await describeAt(path);
    },
    async makeFolder(path, { parents = false, ...node }) {
      if (parents) await makeFolders(path, node);
      else {
        const { folder, name, inode } = await find(path);
        if (inode !== undefined) throw new FuseError('EEXIST');
        await volume.create(folder.ino, name, { ...node, mode: folderType | (node.mode & 0o7777) });
      }
      return await describeAt(path);
    },
    async setAttributes(path, { mode, uid, gid }) {
      const inode = get(await find(path, true));
      const changes = {
        ...(mode === undefined ? {} : { mode }),
        ...(uid === undefined ? {} : { uid }),
        ...(gid === undefined ? {} : { gid }),
      };
      return await describe(cleaned(path), await volume.setAttributes(inode.ino, changes));
    },
    async rename(from, to, { replace }) {
      const source = await find(from);
      if (source.name.length === 0) throw new FuseError('EBUSY');
      if (source.inode === undefined) throw new FuseError('ENOENT');
      try {
        const target = await find(to);
        if (target.name.length === 0) throw new FuseError('EBUSY');
        await volume.rename(
          { parent: source.folder.ino, name: source.name },
          { parent: target.folder.ino, name: target.name },
          replace ? 'replace' : 'keep',
        );
        return await describeAt(to);
      } catch (thrown) {
        // All other errors are about the source.
        throw translate(thrown, to);
      }
    },
    async remove(path, { recursive, signal }) {
      const { folder, name, inode } = await find(path);
      if (inode === undefined) throw new FuseError('ENOENT');
      if (name.length === 0) throw new FuseError('EBUSY');
      if (!isFolder(inode)) await volume.unlink(folder.ino, name);
      else {
        if (recursive) await removeTreeOf(volume, inode.ino, signal);
        await volume.removeFolder(folder.ino, name);
      }
    },
  };
  return withTranslatedErrors(methods);
}

/** With a slash in front, and none at the end. The root is empty. */
function cleaned(path: string): string {
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  return names.map((name) => `/${name}`).join('');
}

function translate(thrown: unknown, path: string): unknown {
  if (!(thrown instanceof FuseError)) return thrown;
  const message = messages[thrown.code] ?? `failed with ${thrown.code}`;
  return errorFromNode(thrown, `The path "${path.slice(0, shownPathLength)}" ${message}.`);
}

const shownPathLength = 300;
const messages: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist in the volume',
  EEXIST: 'exists already',
  ENOTDIR: 'needs a folder where there is none',
  EISDIR: 'is a folder',
  ENOTEMPTY: 'is a folder that is not empty',
  EXDEV: 'leads out of the volume',
  ELOOP: 'has too many links',
  ENAMETOOLONG: 'is too long, or a name in it is',
  EINVAL: 'cannot be used in this way',
  EBUSY: 'is the root of the volume',
  EROFS: 'is in a read-only volume',
  EDQUOT: 'needs more space than the quota of the volume has left',
  ENOSPC: 'needs more space than the disk has left',
  ENXIO: 'is not a file with content',
};

async function* translated(stream: AsyncIterable<Buffer>, path: string): AsyncGenerator<Buffer> {
  try {
    yield* stream;
  } catch (thrown) {
    throw translate(thrown, path);
  }
}

function withTranslatedErrors(methods: VolumePaths): VolumePaths {
  const wrapped = Object.entries(methods).map(([name, method]) => [
    name,
    async (path: string, ...rest: unknown[]): Promise<unknown> => {
      try {
        return await (method as (path: string, ...rest: unknown[]) => Promise<unknown>)(path, ...rest);
      } catch (thrown) {
        throw translate(thrown, path);
      }
    },
  ]);
  return Object.fromEntries(wrapped) as VolumePaths;
}
