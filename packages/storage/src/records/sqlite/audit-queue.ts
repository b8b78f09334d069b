import type { DatabaseSync } from 'node:sqlite';
import type { AuditNote } from '../audit.ts';
import { createAuditWriter } from './audit-writer.ts';
import type { AuditWriter } from './audit-writer.ts';
import { inTransaction } from './transaction.ts';

/** Commits records in groups: those that come in one turn of the event loop share one flush of the disk. */
export interface AuditQueue extends Disposable {
  add(note: AuditNote, maxBytes: number): Promise<void>;
}

interface Waiting {
  readonly note: AuditNote;
  readonly maxBytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Limit of a group: a commit must not keep other work waiting for long. */
const groupMax = 2000;

/** `open` opens a connection of its own, whose commits survive a crash of the host. */
export function createAuditQueue(open: () => DatabaseSync): AuditQueue {
  let opened: { readonly db: DatabaseSync; readonly writer: AuditWriter } | undefined;
  let waiting: Waiting[] = [];
  const connect = () => {
    if (opened !== undefined) return opened;
    const db = open();
    opened = { db, writer: createAuditWriter(db) };
    return opened;
  };
  const commit = (group: readonly Waiting[]): void => {
    const refused = new Map<Waiting, unknown>();
    try {
      const { db, writer } = connect();
      inTransaction(db, () => {
        const batch = writer.begin();
        for (const one of group) {
          // Each record stands alone: one that is refused must not refuse its neighbors. SQLite's own errors do.
          try {
            batch.write(one.note, one.maxBytes);
          } catch (error) {
            if (!db.isTransaction || isSqliteError(error)) throw error;
            refused.set(one, error);
          }
        }
        batch.end();
      });
    } catch (error) {
      for (const one of group) one.reject(error);
      return;
    }
    for (const one of group) {
      if (refused.has(one)) one.reject(refused.get(one));
      else one.resolve();
    }
  };
  const flush = (): void => {
    const group = waiting.slice(0, groupMax);
    waiting = waiting.slice(groupMax);
    if (waiting.length > 0) setImmediate(flush);
    commit(group);
  };
  return {
    add: (note, maxBytes) =>
      new Promise((resolve, reject) => {
        if (waiting.length === 0) setImmediate(flush);
        waiting.push({ note, maxBytes, resolve, reject });
      }),
    [Symbol.dispose]: () => {
      if (opened?.db.isOpen === true) opened.db.close();
    },
  };
}

function isSqliteError(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === 'ERR_SQLITE_ERROR';
}
