import type { DatabaseSync } from 'node:sqlite';

/** More than a session handles at once. */
const slots = 512;

export interface Replies {
  find(mount: string, unique: number): Uint8Array | undefined;
  put(mount: string, unique: number, reply: Uint8Array): void;
  removeMount(mount: string): void;
}

/** The answers to the last changes of each mount, in a ring: a request that is sent again finds its answer here. */
export function sqliteReplies(db: DatabaseSync): Replies {
  const select = db.prepare('SELECT bytes FROM reply WHERE mount = ? AND request = ?');
  const put = db.prepare('INSERT OR REPLACE INTO reply (mount, slot, request, bytes) VALUES (?, ?, ?, ?)');
  const remove = db.prepare('DELETE FROM reply WHERE mount = ?');
  // What is overwritten first after a start does not matter: all of them are older than what follows.
  const next = new Map<string, number>();
  return {
    find(mount, unique) {
      const bytes = select.get(mount, unique)?.['bytes'];
      return bytes instanceof Uint8Array ? bytes : undefined;
    },
    put(mount, unique, reply) {
      const slot = next.get(mount) ?? 0;
      next.set(mount, (slot + 1) % slots);
      put.run(mount, slot, unique, reply);
    },
    removeMount(mount) {
      next.delete(mount);
      remove.run(mount);
    },
  };
}
