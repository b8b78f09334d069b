import { setTimeout as sleep } from 'node:timers/promises';
import { FuseError, type FuseAttr, type FuseFs, type FuseNotify } from '../fuse-fs.ts';
import { mountFs } from '../session/mount-fs.ts';

/**
 * A process that serves a file system whose `mkdir` takes a moment, in which it invalidates another name of the same
 * folder. The kernel holds the lock of the folder at that time. Argument: the mount point. Prints `ready`, and `dropped`
 * when the kernel has taken an invalidation.
 */
const time = { sec: 1, nsec: 0 };
const attr = (ino: number): FuseAttr => ({
  ...{ ino, mode: 0o040755, nlink: 2, uid: 0, gid: 0, rdev: 0, size: 0, blocks: 0, blksize: 4096 },
  ...{ atime: time, mtime: time, ctime: time },
});
let notify: FuseNotify | undefined;
const fs: FuseFs = {
  init: (info) => {
    notify = info.notify;
  },
  lookup: () => {
    throw new FuseError('ENOENT');
  },
  getattr: (nodeId) => ({ attr: attr(nodeId), attrTtlMs: 60_000 }),
  mkdir: async () => {
    await sleep(50);
    void notify?.invalidateEntry(1, Buffer.from('other')).then(() => process.stdout.write('dropped\n'));
    await sleep(50);
    return { nodeId: 2, generation: 0, attr: attr(2), attrTtlMs: 60_000, entryTtlMs: 60_000 };
  },
};
await mountFs(fs, { mountPoint: process.argv[2] ?? '' });
process.stdout.write('ready\n');
