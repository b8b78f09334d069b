/** Numbered from 1. Never change a released one; add a new one. */
export const migrations: readonly string[] = [
  `CREATE TABLE volume (
     only INTEGER PRIMARY KEY CHECK (only = 1),
     id TEXT NOT NULL,
     commit_number INTEGER NOT NULL,
     generation INTEGER NOT NULL,
     is_read_only INTEGER NOT NULL,
     next_ino INTEGER NOT NULL,
     next_seq INTEGER NOT NULL,
     used_bytes INTEGER NOT NULL,
     used_inodes INTEGER NOT NULL,
     quota_bytes INTEGER,
     quota_inodes INTEGER
   ) STRICT;

   CREATE TABLE inode (
     ino INTEGER PRIMARY KEY,
     mode INTEGER NOT NULL,
     uid INTEGER NOT NULL,
     gid INTEGER NOT NULL,
     nlink INTEGER NOT NULL,
     size INTEGER NOT NULL,
     allocated INTEGER NOT NULL,
     rdev INTEGER NOT NULL,
     atime_s INTEGER NOT NULL,
     atime_ns INTEGER NOT NULL,
     mtime_s INTEGER NOT NULL,
     mtime_ns INTEGER NOT NULL,
     ctime_s INTEGER NOT NULL,
     ctime_ns INTEGER NOT NULL,
     parent INTEGER NOT NULL,
     xattr_bytes INTEGER NOT NULL,
     target BLOB
   ) STRICT;
   CREATE INDEX inode_orphans ON inode (ino) WHERE nlink = 0;

   CREATE TABLE dentry (
     parent INTEGER NOT NULL,
     name BLOB NOT NULL,
     seq INTEGER NOT NULL,
     ino INTEGER NOT NULL,
     PRIMARY KEY (parent, name)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX dentry_order ON dentry (parent, seq);

   CREATE TABLE xattr (
     ino INTEGER NOT NULL,
     name BLOB NOT NULL,
     value BLOB NOT NULL,
     PRIMARY KEY (ino, name)
   ) STRICT, WITHOUT ROWID;

   CREATE TABLE block (
     ino INTEGER NOT NULL,
     idx INTEGER NOT NULL,
     len INTEGER NOT NULL,
     gen INTEGER NOT NULL,
     object TEXT,
     data BLOB,
     digest BLOB,
     PRIMARY KEY (ino, idx),
     CHECK ((object IS NULL) <> (data IS NULL))
   ) STRICT, WITHOUT ROWID;

   -- The last answers of each mount, in a ring.
   CREATE TABLE reply (
     mount TEXT NOT NULL,
     slot INTEGER NOT NULL,
     request INTEGER NOT NULL,
     bytes BLOB NOT NULL,
     PRIMARY KEY (mount, slot)
   ) STRICT, WITHOUT ROWID;

   CREATE TABLE lock (
     ino INTEGER NOT NULL,
     kind TEXT NOT NULL,
     mount TEXT NOT NULL,
     owner TEXT NOT NULL,
     type TEXT NOT NULL,
     first INTEGER NOT NULL,
     last INTEGER NOT NULL,
     pid INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX lock_owner ON lock (ino, kind, mount, owner);
   CREATE INDEX lock_mount ON lock (mount);`,
  `DROP INDEX lock_owner;
   CREATE INDEX lock_owner ON lock (ino, kind, mount, owner, first);`,
  // What earlier generations have may be shared with copies: that of before is unknown.
  `ALTER TABLE volume ADD COLUMN shared_generation INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE volume ADD COLUMN change_number INTEGER NOT NULL DEFAULT 0;
   UPDATE volume SET shared_generation = generation - 1, change_number = commit_number;
   -- Blocks that are on the disk only: a name of 32 digits says nothing about the object store.
   CREATE INDEX block_not_stored ON block (ino, idx) WHERE length(object) = 32;`,
];
