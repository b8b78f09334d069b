import type { DatabaseSync } from 'node:sqlite';
import type { HeldLock } from '../metadata.ts';

export interface LockRows {
  list(): (HeldLock & { readonly ino: number })[];
  replace(ino: number, who: Pick<HeldLock, 'kind' | 'mount' | 'owner'>, locks: readonly HeldLock[]): void;
  removeMount(mount: string): void;
}

export function sqliteLocks(db: DatabaseSync): LockRows {
  const list = db.prepare('SELECT * FROM lock');
  const remove = db.prepare('DELETE FROM lock WHERE ino = ? AND kind = ? AND mount = ? AND owner = ?');
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
    replace(ino, { kind, mount, owner }, locks) {
      remove.run(ino, kind, mount, owner);
      for (const { type, start, end, pid } of locks) insert.run(ino, kind, mount, owner, type, start, end, pid);
    },
    removeMount: (mount) => void removeMount.run(mount),
  };
}
