import type { FuseAttr, FuseAttrReply, FuseEntry, FuseNegativeEntry, FuseStatfs } from '@soulbox/fuse';
import { nameBytesMax } from '../limits.ts';
import type { Inode } from '../metadata/inode.ts';
import type { VolumeFacts } from '../metadata/metadata.ts';

const sectorBytes = 512;
const pageBytes = 4096;
/** What a volume without a limit shows as free inodes. */
const plenty = 2 ** 31;

export interface ReplyForms {
  readonly missing: () => FuseNegativeEntry;
  readonly entry: (inode: Inode) => FuseEntry;
  readonly attr: (inode: Inode) => FuseAttrReply;
  readonly statfs: (facts: VolumeFacts, freeBytes: number) => FuseStatfs;
}

/** `ttlMs` is called for each answer: how long the kernel may keep it. */
export function createReplies(ttlMs: () => number): ReplyForms {
  const attr = (inode: Inode): FuseAttrReply => ({ attr: attrOf(inode), attrTtlMs: ttlMs() });
  return {
    missing: () => ({ nodeId: 0, entryTtlMs: ttlMs() }),
    attr,
    entry: (inode) => {
      const ttl = ttlMs();
      return { attr: attrOf(inode), attrTtlMs: ttl, nodeId: inode.ino, generation: 0, entryTtlMs: ttl };
    },
    statfs({ usage, quota }, freeBytes) {
      const quotaLeft = quota.bytes === undefined ? Infinity : Math.max(0, quota.bytes - usage.bytes);
      const left = Math.min(quotaLeft, freeBytes);
      const free = Math.floor(left / pageBytes);
      const total = quota.bytes === undefined ? usage.bytes + left : quota.bytes;
      const ffree = quota.inodes === undefined ? plenty : Math.max(0, quota.inodes - usage.inodes);
      return {
        blocks: Math.max(free, Math.floor(total / pageBytes)),
        bfree: free,
        bavail: free,
        files: quota.inodes ?? usage.inodes + ffree,
        ffree,
        bsize: pageBytes,
        frsize: pageBytes,
        namelen: nameBytesMax,
      };
    },
  };
}

function attrOf(inode: Inode): FuseAttr {
  const { ino, size, allocated, atime, mtime, ctime, mode, nlink, uid, gid, rdev } = inode;
  const blocks = Math.ceil(allocated / sectorBytes);
  return { ino, size, blocks, atime, mtime, ctime, mode, nlink, uid, gid, rdev, blksize: pageBytes };
}
