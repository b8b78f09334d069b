import type { Clock } from '@soulbox/base';
import type { EnvdLogEntry } from '@soulbox/envd-client';
import type { SandboxTable } from '../registry/table.ts';

/** Entries kept per sandbox. The oldest are removed first. */
const maxEntries = 2000;
/** Ended sandboxes whose log is still kept. */
const maxEnded = 500;

export type LogLine = Omit<EnvdLogEntry, 'seq'>;

interface Book {
  readonly lines: LogLine[];
  /** Number of the newest entry that was fetched from envd. */
  envdSeq: number;
}

/**
 * The log of each sandbox: entries of the runner and of its envd. Entries are fetched from envd when somebody reads the
 * log, so an idle sandbox costs nothing.
 */
export interface LogBook {
  write(sandboxId: string, message: string, fields?: Record<string, string>): void;
  /** Oldest first. Empty for an unknown sandbox. */
  read(sandboxId: string): Promise<LogLine[]>;
}

export function createLogBook(table: SandboxTable, clock: Clock): LogBook {
  const books = new Map<string, Book>();
  const bookOf = (sandboxId: string): Book => {
    const known = books.get(sandboxId);
    if (known !== undefined) return known;
    const book: Book = { lines: [], envdSeq: 0 };
    books.set(sandboxId, book);
    forgetOldest();
    return book;
  };
  const forgetOldest = (): void => {
    const ended = [...books.keys()].filter((sandboxId) => table.find(sandboxId) === undefined);
    for (const sandboxId of ended.slice(0, Math.max(0, ended.length - maxEnded))) books.delete(sandboxId);
  };
  const append = (book: Book, lines: readonly LogLine[]): void => {
    book.lines.push(...lines);
    book.lines.splice(0, Math.max(0, book.lines.length - maxEntries));
  };

  return {
    write(sandboxId, message, fields = {}) {
      const timestamp = new Date(clock.now()).toISOString();
      append(bookOf(sandboxId), [{ timestamp, level: 'info', logger: 'runner', message, fields }]);
    },
    async read(sandboxId) {
      const sandbox = table.find(sandboxId);
      if (sandbox === undefined) return books.get(sandboxId)?.lines ?? [];
      const book = bookOf(sandboxId);
      // A frozen envd would not answer.
      const isAwake = sandbox.record.state === 'running';
      const fresh = isAwake ? ((await sandbox.live?.envd.logs(book.envdSeq).catch(() => [])) ?? []) : [];
      book.envdSeq = fresh.reduce((newest, entry) => Math.max(newest, entry.seq), book.envdSeq);
      // Entries from before the claim belong to the rehearsal of the spare.
      const startedAtMs = sandbox.record.tenant?.startedAtMs ?? 0;
      const tenants = fresh.filter(({ timestamp }) => Date.parse(timestamp) >= startedAtMs);
      append(
        book,
        tenants.map(({ seq: _seq, ...line }) => line),
      );
      return [...book.lines].sort((a, b) => Date.parse(a.timestamp) - Date.parse(b.timestamp));
    },
  };
}
