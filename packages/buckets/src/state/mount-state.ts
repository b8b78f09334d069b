import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { FuseError } from '@soulbox/fuse';
import { nodesMax } from '../limits.ts';

/** An open file, as far as the next process needs to know it. */
export interface StoredFile {
  readonly nodeId: number;
  /** Where it is written. `undefined`: it was removed. */
  readonly key: string | undefined;
  /** Of the object that it was read from or written to. `undefined`: there is none yet. */
  readonly version: string | undefined;
  readonly size: number;
  readonly modifiedMs: number;
  /** The name of its scratch file, if it has one. */
  readonly scratch: string | undefined;
  /** The scratch file has what the store does not have. */
  readonly isDirty: boolean;
}

export interface StoredHandle {
  readonly fh: number;
  readonly nodeId: number;
  readonly canWrite: boolean;
}

/**
 * What the kernel knows of one mount: its numbers of names, and open files. It is in a file, and written before each
 * answer, so the next process continues after the death of this one. Nothing is flushed: a mount ends with its host.
 */
export interface MountState extends Disposable {
  /** The number of a key. It is a new one if the kernel does not know the key. */
  nodeOf(key: string): number;
  findNode(key: string): number | undefined;
  /** `undefined`: the name is gone. Throws ESTALE for a number that was never given. */
  keyOf(nodeId: number): string | undefined;
  /** The node has no name any more. The key gets another number. */
  detach(nodeId: number): void;
  move(nodeId: number, key: string): void;
  forget(nodeId: number): void;
  saveFile(file: StoredFile): void;
  removeFile(nodeId: number): void;
  files(): readonly StoredFile[];
  addHandle(nodeId: number, canWrite: boolean): number;
  removeHandle(fh: number): void;
  handles(): readonly StoredHandle[];
}

const rootId = 1;

export function openMountState(folder: string, rootKey: string): MountState {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const db = new DatabaseSync(join(folder, 'state.sqlite'));
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -2048; PRAGMA temp_store = MEMORY;
    CREATE TABLE IF NOT EXISTS nodes (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT UNIQUE) STRICT;
    CREATE TABLE IF NOT EXISTS files (node INTEGER PRIMARY KEY, key TEXT, version TEXT, size INTEGER NOT NULL,
      modified REAL NOT NULL, scratch TEXT, dirty INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS handles (fh INTEGER PRIMARY KEY AUTOINCREMENT, node INTEGER NOT NULL,
      writes INTEGER NOT NULL) STRICT;`);
  db.prepare('INSERT OR IGNORE INTO nodes (id, key) VALUES (?, ?)').run(rootId, rootKey);
  const statements = {
    find: db.prepare('SELECT id FROM nodes WHERE key = ?'),
    key: db.prepare('SELECT key FROM nodes WHERE id = ?'),
    add: db.prepare('INSERT INTO nodes (key) VALUES (?)'),
    detach: db.prepare('UPDATE nodes SET key = NULL WHERE id = ?'),
    take: db.prepare('UPDATE nodes SET key = NULL WHERE key = ?'),
    move: db.prepare('UPDATE nodes SET key = ? WHERE id = ?'),
    forget: db.prepare('DELETE FROM nodes WHERE id = ?'),
    saveFile: db.prepare('INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?)'),
    removeFile: db.prepare('DELETE FROM files WHERE node = ?'),
    addHandle: db.prepare('INSERT INTO handles (node, writes) VALUES (?, ?)'),
    removeHandle: db.prepare('DELETE FROM handles WHERE fh = ?'),
  };
  let nodes = (db.prepare('SELECT count(*) AS count FROM nodes').get() as { count: number }).count;
  const findNode = (key: string): number | undefined => (statements.find.get(key) as { id: number } | undefined)?.id;
  return {
    findNode,
    nodeOf(key) {
      const found = findNode(key);
      if (found !== undefined) return found;
      if (nodes >= nodesMax) throw new FuseError('ENFILE', `The kernel knows ${nodesMax} names of a bucket.`);
      nodes += 1;
      return Number(statements.add.run(key).lastInsertRowid);
    },
    keyOf(nodeId) {
      const row = statements.key.get(nodeId) as { key: string | null } | undefined;
      if (row === undefined) throw new FuseError('ESTALE');
      return row.key ?? undefined;
    },
    detach: (nodeId) => void statements.detach.run(nodeId),
    move(nodeId, key) {
      statements.take.run(key);
      statements.move.run(key, nodeId);
    },
    forget(nodeId) {
      nodes -= Number(statements.forget.run(nodeId).changes);
    },
    saveFile({ nodeId, key = null, version = null, size, modifiedMs, scratch = null, isDirty }) {
      statements.saveFile.run(nodeId, key, version, size, modifiedMs, scratch, isDirty ? 1 : 0);
    },
    removeFile: (nodeId) => void statements.removeFile.run(nodeId),
    files: () =>
      (db.prepare('SELECT * FROM files').all() as unknown as FileRow[]).map((row) => ({
        nodeId: row.node,
        key: row.key ?? undefined,
        version: row.version ?? undefined,
        size: row.size,
        modifiedMs: row.modified,
        scratch: row.scratch ?? undefined,
        isDirty: row.dirty === 1,
      })),
    addHandle: (nodeId, canWrite) => Number(statements.addHandle.run(nodeId, canWrite ? 1 : 0).lastInsertRowid),
    removeHandle: (fh) => void statements.removeHandle.run(fh),
    handles: () =>
      (db.prepare('SELECT fh, node, writes FROM handles').all() as { fh: number; node: number; writes: number }[]).map(
        ({ fh, node, writes }) => ({ fh, nodeId: node, canWrite: writes === 1 }),
      ),
    [Symbol.dispose]: () => db.close(),
  };
}

interface FileRow {
  readonly node: number;
  readonly key: string | null;
  readonly version: string | null;
  readonly size: number;
  readonly modified: number;
  readonly scratch: string | null;
  readonly dirty: number;
}
