import { FuseError } from '@soulbox/fuse';
import { depthMax, nameBytesMax } from '../limits.ts';
import { isFolder, linkType, rootIno, typeOf } from '../metadata/inode.ts';
import type { Inode } from '../metadata/inode.ts';
import type { Metadata } from '../metadata/metadata.ts';

/** As PATH_MAX of Linux. */
const pathBytesMax = 4096;
/** As on Linux. */
const linkStepsMax = 40;

export interface Resolved {
  /** The folder and the name, which may lead to nothing. The root is in itself, with an empty name. */
  readonly folder: Inode;
  readonly name: Buffer;
  readonly inode: Inode | undefined;
}

/**
 * Finds what a path names, from the root of the volume. Links are followed as long as they stay inside: an absolute one
 * names something in a sandbox, and `..` above the root is outside, so both are refused with EXDEV.
 */
export async function resolvePath(
  metadata: Metadata,
  path: string,
  { followLast }: { readonly followLast: boolean },
): Promise<Resolved> {
  const root = await findRoot(metadata);
  let rest = namesOf(Buffer.from(path));
  let folder = root;
  let linkSteps = 0;
  for (let steps = 0; steps < depthMax; steps += 1) {
    const name = rest.shift();
    if (name === undefined) return { folder, name: Buffer.alloc(0), inode: folder };
    if (name.length > nameBytesMax) throw new FuseError('ENAMETOOLONG');
    const text = name.toString('latin1');
    if (text === '..') {
      if (folder.ino === rootIno) throw new FuseError('EXDEV');
      folder = (await metadata.find(folder.parent)) ?? root;
      continue;
    }
    const inode = await metadata.lookup(folder.ino, name);
    const isLast = rest.length === 0;
    if (inode !== undefined && typeOf(inode.mode) === linkType && (!isLast || followLast)) {
      linkSteps += 1;
      if (linkSteps > linkStepsMax) throw new FuseError('ELOOP');
      const target = Buffer.from((await metadata.readTarget(inode.ino)) ?? []);
      if (target[0] === 47) throw new FuseError('EXDEV');
      rest = [...namesOf(target), ...rest];
      continue;
    }
    if (isLast) return { folder, name, inode };
    if (inode === undefined) throw new FuseError('ENOENT');
    if (!isFolder(inode)) throw new FuseError('ENOTDIR');
    folder = inode;
  }
  throw new FuseError('ELOOP');
}

async function findRoot(metadata: Metadata): Promise<Inode> {
  const root = await metadata.find(rootIno);
  if (root === undefined) throw new FuseError('EIO', 'The volume has no root.');
  return root;
}

/** The names of a path, without empty ones and `.`. */
export function namesOf(path: Buffer): Buffer[] {
  if (path.length > pathBytesMax) throw new FuseError('ENAMETOOLONG');
  if (path.includes(0)) throw new FuseError('EINVAL');
  const names: Buffer[] = [];
  for (let start = 0; start <= path.length;) {
    const slash = path.indexOf(47, start);
    const end = slash === -1 ? path.length : slash;
    const name = path.subarray(start, end);
    if (name.length > 0 && name.toString('latin1') !== '.') names.push(name);
    start = end + 1;
  }
  return names;
}
