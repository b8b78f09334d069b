import type { DatabaseSync } from 'node:sqlite';
import type { Inode } from '../inode.ts';
import type { Entry } from '../metadata.ts';
import { inodeColumns, inodeFromRow } from './inodes.ts';

export interface Entries {
  find(parent: number, name: Uint8Array): Inode | undefined;
  insert(parent: number, name: Uint8Array, ino: number, seq: number): void;
  /** The name leads to another inode now, and keeps its place in lists. */
  replace(parent: number, name: Uint8Array, ino: number): void;
  remove(parent: number, name: Uint8Array): void;
  isEmpty(parent: number): boolean;
  list(parent: number, after: number, limit: number): Entry[];
}

export function sqliteEntries(db: DatabaseSync): Entries {
  const columns = inodeColumns.replaceAll('parent', 'inode.parent').replace('ino,', 'inode.ino,');
  const find = db.prepare(
    `SELECT ${columns} FROM dentry CROSS JOIN inode ON inode.ino = dentry.ino WHERE dentry.parent = ? AND name = ?`,
  );
  const insert = db.prepare('INSERT INTO dentry (parent, name, ino, seq) VALUES (?, ?, ?, ?)');
  const replace = db.prepare('UPDATE dentry SET ino = ? WHERE parent = ? AND name = ?');
  const remove = db.prepare('DELETE FROM dentry WHERE parent = ? AND name = ?');
  const any = db.prepare('SELECT 1 FROM dentry WHERE parent = ? LIMIT 1');
  const list = db.prepare(
    `SELECT name, seq, ${columns} FROM dentry CROSS JOIN inode ON inode.ino = dentry.ino
     WHERE dentry.parent = ? AND seq > ? ORDER BY seq LIMIT ?`,
  );
  return {
    find(parent, name) {
      const row = find.get(parent, name);
      return row === undefined ? undefined : inodeFromRow(row);
    },
    insert: (parent, name, ino, seq) => void insert.run(parent, name, ino, seq),
    replace: (parent, name, ino) => void replace.run(ino, parent, name),
    remove: (parent, name) => void remove.run(parent, name),
    isEmpty: (parent) => any.get(parent) === undefined,
    list: (parent, after, limit) =>
      list
        .all(parent, after, limit)
        .map((row) => ({ name: row['name'] as Uint8Array, seq: row['seq'] as number, inode: inodeFromRow(row) })),
  };
}
