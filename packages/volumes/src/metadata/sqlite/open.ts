import { closeSync, fdatasync, fsyncSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import type { FuseTime } from '@soulbox/fuse';
import { FuseError } from '@soulbox/fuse';

import type { Inode } from '../inode.ts';
import type { Metadata, Note, Quota } from '../metadata.ts';
import { changeAttributes } from './attributes.ts';
import { createBatch } from './batch.ts';
import { sqliteContent } from './content.ts';
import { openDatabase } from './database.ts';
import { sqliteEntries } from './entries.ts';
import { createFacts, quotaOf } from './facts.ts';
import { isBefore, sqliteInodes } from './inodes.ts';
import { sqliteLocks } from './lock-records.ts';
import { sqliteNames } from './names.ts';
import { sqliteReplies } from './replies.ts';
import { sqliteXattrs } from './xattrs.ts';

const flushFile = promisify(fdatasync);

/**
 * After so many transactions, the log is written back to the database at the next sync: some 10 KiB for each. Reading 25
 * MiB of it took the process after a kill 70 ms.
 */
const commitsPerCheckpoint = 500;
/** As `relatime` of Linux: an access is noted if the last one is older than the last change, or than this. */
const accessSeconds = 24 * 3600;
const blocksMax = 1024;
const capability = Buffer.from('security.capability');

export interface SqliteMetadataOptions {
  readonly now: () => FuseTime;
  /** Objects of the block store that nothing refers to. They may be deleted after the next `sync`. */
  readonly freed: (objects: readonly string[]) => void;
  /** Releases space for changes that a full disk refused. False if there is none. */
  readonly makeRoom: () => boolean;
}

/** The metadata of the volume in the file `path`. Only one process may have it open for changes. */
export function openSqliteMetadata(path: string, options: SqliteMetadataOptions): Metadata {
  const db = openDatabase(path, { create: false });
  try {
    return metadataOf(db, path, options);
  } catch (error) {
    db.close();
    throw error;
  }
}

function metadataOf(db: DatabaseSync, path: string, options: SqliteMetadataOptions): Metadata {
  const { now } = options;
  const facts = createFacts(db);
  const inodes = sqliteInodes(db);
  const entries = sqliteEntries(db);
  let freed: string[] = [];
  const content = sqliteContent(db, { facts, inodes, now, freed: (objects) => void freed.push(...objects) });
  const xattrs = sqliteXattrs(db, { facts, inodes, now });
  const replies = sqliteReplies(db);
  const locks = sqliteLocks(db);
  const reap = (inode: Inode): boolean => {
    const { bytes, isAll } = content.removeSome(inode, blocksMax);
    if (!isAll) {
      inodes.put({ ...inode, allocated: inode.allocated - bytes });
      facts.grow({ bytes: -bytes, inodes: 0 });
      return false;
    }
    if (inode.xattrBytes > 0) xattrs.removeAll(inode.ino);
    inodes.remove(inode.ino);
    facts.grow({ bytes: -inode.allocated, inodes: -1 });
    return true;
  };
  /** Capabilities of a program are gone with its first change, as its setuid is. */
  const dropCapability = ({ ino, xattrBytes }: Inode): boolean => {
    if (xattrBytes === 0 || xattrs.get(ino, capability) === undefined) return false;
    xattrs.remove(ino, capability);
    return true;
  };
  const names = sqliteNames({ facts, inodes, entries, now });
  const batch = createBatch(db, {
    beforeCommit: () => {
      facts.save();
    },
    afterCommit: () => {
      if (freed.length > 0) options.freed(freed);
      freed = [];
    },
    afterRollback: () => {
      facts.load();
      inodes.forgetAll();
      freed = [];
    },
    makeRoom: options.makeRoom,
  });
  const firstOwnIno = facts.now.nextIno;
  const log = openLog(db, path);
  let writtenBack = facts.now.commit;

  const change = async <T>(work: () => T, note: Note<T> | undefined): Promise<T> =>
    await batch.run(() => {
      if (facts.now.isReadOnly) throw new FuseError('EROFS');
      const result = work();
      facts.now.change += 1;
      if (note !== undefined) {
        const { mount, unique, reply } = note(result);
        replies.put(mount, unique, reply);
      }
      return result;
    });

  return {
    facts: () => {
      const { id, commit, change: changes, generation, isReadOnly, usedBytes: bytes, usedInodes } = facts.now;
      const usage = { bytes, inodes: usedInodes };
      return { id, commit, changes, generation, isReadOnly, usage, quota: quotaOf(facts.now), firstOwnIno };
    },
    find: (ino) => inodes.find(ino),
    lookup: (parent, name) => entries.find(parent, name),
    list: (folder, after, limit) => entries.list(folder, after, limit),
    readTarget: (ino) => inodes.target(ino),
    listOrphans: (after, limit) => inodes.orphans(after, limit),
    create: (parent, name, node, note) => change(() => names.create(parent, name, node), note),
    createOrphan: (parent, node, note) => change(() => names.createOrphan(parent, node), note),
    replace: (ino, parent, name) => change(() => names.replace(ino, parent, name), undefined),
    link: (ino, parent, name, note) => change(() => names.link(ino, parent, name), note),
    unlink: (parent, name, note) => change(() => names.unlink(parent, name), note),
    removeFolder: (parent, name, note) => change(() => names.removeFolder(parent, name), note),
    rename: (from, to, mode, note) => change(() => names.rename(from, to, mode), note),
    setAttributes: (ino, changes, note) =>
      change(() => {
        const inode = changeAttributes(inodes.get(ino), changes, { content, now });
        inodes.put(inode);
        const { uid, gid, size } = changes;
        if (uid === undefined && gid === undefined && size === undefined) return inode;
        return dropCapability(inode) ? inodes.get(ino) : inode;
      }, note),
    reap: (ino) =>
      change(() => {
        const inode = inodes.find(ino);
        return inode?.nlink !== 0 || reap(inode);
      }, undefined),
    blocks: (ino, first, last, limit = blocksMax) => content.blocks(ino, first, last, limit),
    listBlocks: (after, limit) => content.list(after, limit),
    checkRoom(bytes) {
      if (facts.now.isReadOnly) throw new FuseError('EROFS');
      facts.checkRoom({ bytes, inodes: 0 });
    },
    write: (ino, write, note) =>
      change(() => {
        dropCapability(content.write(ino, write));
      }, note),
    // A read-only volume gets its digests too.
    setDigest: (ino, block, digest) =>
      batch.run(() => {
        content.setDigest(ino, block, digest);
      }),
    renameBlocks: (renamed) =>
      batch.run(() => {
        for (const { place, from, to } of renamed) content.rename(place, from, to);
      }),
    touch({ ino, atime, mtime, ctime }) {
      const time = now();
      const isDue = !isBefore(mtime, atime) || !isBefore(ctime, atime) || time.sec - atime.sec > accessSeconds;
      if (!isDue || facts.now.isReadOnly) return;
      const touch = (): void => {
        const inode = inodes.find(ino);
        if (inode !== undefined) inodes.put({ ...inode, atime: time });
      };
      // It is no change that anybody waits for.
      batch.run(touch).catch(() => undefined);
    },
    getXattr: (ino, name) => xattrs.get(ino, name),
    listXattrs: (ino) => xattrs.list(ino),
    setXattr: (ino, name, value, mode, note) =>
      change(() => {
        xattrs.set(ino, name, value, mode);
      }, note),
    removeXattr: (ino, name, note) =>
      change(() => {
        xattrs.remove(ino, name);
      }, note),
    findReply: (mount, unique) => replies.find(mount, unique),
    setQuota: ({ bytes, inodes: count }: Quota) =>
      batch.run(() => {
        Object.assign(facts.now, { quotaBytes: bytes, quotaInodes: count });
      }),
    beginGeneration: ({ isShared }) =>
      batch.run(() => {
        if (isShared) facts.now.sharedGeneration = facts.now.generation;
        facts.now.generation += 1;
      }),
    locks: {
      list: () => locks.list(),
      change: (ino, changed, note) =>
        batch.run(() => {
          locks.change(ino, changed);
          if (note === undefined) return;
          const { mount, unique, reply } = note(undefined);
          replies.put(mount, unique, reply);
        }),
      removeMount: (mount) =>
        batch.run(() => {
          locks.removeMount(mount);
          replies.removeMount(mount);
        }),
    },
    settled: () => batch.settled(),
    async sync() {
      batch.flush();
      await log.flush();
      if (facts.now.commit - writtenBack < commitsPerCheckpoint) return;
      // Most of the log is on the disk now, so this waits for the database alone. It needs a moment without a transaction.
      batch.flush();
      log.writeBack();
      writtenBack = facts.now.commit;
    },
    [Symbol.asyncDispose]: async () => {
      batch.flush();
      try {
        await log.flush();
      } finally {
        log.close();
        db.close();
      }
    },
  };
}

/** SQLite's log beside the database: where commits are before they are written back. */
function openLog(db: DatabaseSync, path: string): { flush(): Promise<void>; writeBack(): void; close(): void } {
  // It exists after the first change of a connection.
  db.exec('UPDATE volume SET commit_number = commit_number');
  const fd = openSync(`${path}-wal`, 'r');
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
  return {
    flush: () => flushFile(fd),
    // It waits for nobody: what a copy still reads stays in the log until the next time.
    writeBack: () => {
      db.exec('PRAGMA wal_checkpoint(PASSIVE)');
    },
    close: () => {
      closeSync(fd);
    },
  };
}
