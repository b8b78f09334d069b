import type { DatabaseSync } from 'node:sqlite';
import type { HeldLock, LockChange } from '../metadata.ts';

export interface LockRows {
  list(): (HeldLock & { readonly ino: number })[];
  change(ino: number, change: LockChange): void;
  removeMount(mount: string): void;
}

export function sqliteLocks(db: DatabaseSync): LockRows {
  const list = db.prepare('SELECT * FROM lock');
  const remove = db.prepare('DELETE FROM lock WHERE ino = ? AND kind = ? AND mount = ? AND owner = ? AND first = ?');
  const insert = db.prepare(
    'INSERT INTO lock (ino, kind, mount, owner, type, first, last, pid) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
  );
  const removeMount = db.prepare('DELETE FROM lock WHERE mount = ?');
  return {
    list: () =>
      list.all().map((row) => ({
        ino: Number(row['ino']),
        kind: row['kind'] === 'flock' ? 'flock' : 'posix',
        mount: String(row['mount']),
        owner: String(row['owner']),
        type: row['type'] === 'write' ? 'write' : 'read',
        start: Number(row['first']),
        end: Number(row['last']),
        pid: Number(row['pid']),
      })),
    change(ino, { removed, added }) {
      for (const { kind, mount, owner, start } of removed) remove.run(ino, kind, mount, owner, start);
      for (const { kind, mount, owner, type, start, end, pid } of added)
        insert.run(ino, kind, mount, owner, type, start, end, pid);
    },
    removeMount: (mount) => void removeMount.run(mount),
  };
}
