import { FuseError } from '@soulbox/fuse';
import type { FuseTime } from '@soulbox/fuse';
import { fileBytesMax } from '../../limits.ts';
import { isFile, isFolder, typeOf, withoutSuidgid } from '../inode.ts';
import type { Inode } from '../inode.ts';
import type { AttributeChanges } from '../metadata.ts';
import type { Content } from './content.ts';

const permissionBits = 0o7777;

/** The inode after a change of its attributes. Throws before anything is changed. */
export function changeAttributes(
  inode: Inode,
  changes: AttributeChanges,
  { content, now }: { readonly content: Content; readonly now: () => FuseTime },
): Inode {
  const { mode, uid, gid, size, atime, mtime, killSuidgid } = changes;
  if (size !== undefined) {
    if (isFolder(inode)) throw new FuseError('EISDIR');
    if (!isFile(inode)) throw new FuseError('EINVAL');
    if (size > fileBytesMax) throw new FuseError('EFBIG');
  }
  const time = now();
  const timeOf = (wanted: FuseTime | 'now' | undefined, present: FuseTime): FuseTime =>
    wanted === 'now' ? time : (wanted ?? present);
  const resized = size === undefined ? inode : content.resized(inode, size);
  const isChown = uid !== undefined || gid !== undefined;
  const kept = isChown || killSuidgid === true ? withoutSuidgid(inode.mode) : inode.mode;
  return {
    ...resized,
    mode: mode === undefined ? kept : typeOf(inode.mode) | (mode & permissionBits),
    uid: uid ?? inode.uid,
    gid: gid ?? inode.gid,
    atime: timeOf(atime, inode.atime),
    mtime: timeOf(mtime ?? (size === undefined ? undefined : 'now'), inode.mtime),
    ctime: time,
  };
}
