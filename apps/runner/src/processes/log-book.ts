import type { Clock } from '@soulbox/base';
import type { SandboxTable } from '../registry/table.ts';
import type { LogFile, LogFolder, LogLine } from './log-folder.ts';

/** Entries kept per sandbox. The oldest are removed first. */
const maxEntries = 2000;
/** Characters of their texts, together. */
const maxTextLength = 256 * 1024;
/** Ended sandboxes whose log is still kept, in memory only. */
const maxEnded = 500;

interface Book {
  /** In order of time. */
  lines: LogLine[];
  /** Number of the newest entry that was fetched from envd. */
  envdSeq: number;
  readonly file: LogFile;
  /** The entries of an earlier life of the runner are read when somebody reads the log. */
  loaded: Promise<void> | undefined;
}

/**
 * The log of each sandbox: entries of the runner and of its envd. Entries are fetched from envd when somebody reads the
 * log, so an idle sandbox costs nothing. A log survives a restart of the runner in a file, and ends with its sandbox.
 */
export interface LogBook {
  /** `logger`: the part that writes, by default `runner`. */
  write(sandboxId: string, message: string, fields?: Record<string, string>, logger?: string): void;
  /** Oldest first. Empty for an unknown sandbox. */
  read(sandboxId: string): Promise<LogLine[]>;
  /** The sandbox has a new envd, whose log begins again. */
  expectNewEnvd(sandboxId: string): void;
  /** The sandbox has ended. */
  remove(sandboxId: string): Promise<void>;
}

export function createLogBook(table: Pick<SandboxTable, 'find'>, folder: LogFolder, clock: Clock): LogBook {
  const books = new Map<string, Book>();
  const bookOf = (sandboxId: string): Book => {
    const known = books.get(sandboxId);
    if (known !== undefined) return known;
    const book: Book = { lines: [], envdSeq: 0, file: folder.fileOf(sandboxId), loaded: undefined };
    books.set(sandboxId, book);
    forgetOldest();
    return book;
  };
  const forgetOldest = (): void => {
    const ended = [...books.keys()].filter((sandboxId) => table.find(sandboxId) === undefined);
    for (const sandboxId of ended.slice(0, Math.max(0, ended.length - maxEnded))) books.delete(sandboxId);
  };
  const take = (book: Book, lines: readonly LogLine[]): LogLine[] => {
    const known = new Set(book.lines.map(keyOf));
    const fresh = lines.filter((line) => !known.has(keyOf(line)));
    book.lines = bounded([...book.lines, ...fresh]);
    const kept = new Set(book.lines);
    return fresh.filter((line) => kept.has(line));
  };
  const load = async (book: Book): Promise<readonly LogLine[]> => {
    book.loaded ??= book.file.load().then((lines) => void take(book, lines));
    await book.loaded;
    return book.lines;
  };

  return {
    write(sandboxId, message, fields = {}, logger = 'runner') {
      const timestamp = new Date(clock.now()).toISOString();
      const book = bookOf(sandboxId);
      const line: LogLine = { seq: 0, timestamp, level: 'info', logger, message, fields };
      book.lines = bounded([...book.lines, line]);
      book.file.append([line], async () => await load(book));
    },
    async read(sandboxId) {
      const sandbox = table.find(sandboxId);
      if (sandbox === undefined) return books.get(sandboxId)?.lines ?? [];
      const book = bookOf(sandboxId);
      await load(book);
      // A frozen envd would not answer.
      const isAwake = sandbox.record.state === 'running';
      const fetched = isAwake ? ((await sandbox.live?.envd.logs(book.envdSeq).catch(() => [])) ?? []) : [];
      book.envdSeq = fetched.reduce((newest, entry) => Math.max(newest, entry.seq), book.envdSeq);
      // Entries from before the claim belong to the rehearsal of the spare.
      const startedAtMs = sandbox.record.tenant?.startedAtMs ?? 0;
      const fresh = take(
        book,
        fetched.filter(({ timestamp }) => Date.parse(timestamp) >= startedAtMs),
      );
      if (fresh.length > 0) book.file.append(fresh, async () => await load(book));
      return book.lines;
    },
    expectNewEnvd(sandboxId) {
      const book = books.get(sandboxId);
      if (book !== undefined) book.envdSeq = 0;
    },
    async remove(sandboxId) {
      await (books.get(sandboxId)?.file ?? folder.fileOf(sandboxId)).remove();
    },
  };
}

/** A new runner fetches the whole log of envd once more. */
const keyOf = ({ seq, timestamp, message }: LogLine): string => `${timestamp} ${seq} ${message}`;

/** The newest entries within the limits, in order of time. */
function bounded(lines: readonly LogLine[]): LogLine[] {
  const sorted = lines.toSorted((one, other) => Date.parse(one.timestamp) - Date.parse(other.timestamp));
  let textLength = 0;
  let at = sorted.length;
  while (at > 0 && sorted.length - at < maxEntries) {
    textLength += lengthOf(sorted[at - 1]);
    if (textLength > maxTextLength) break;
    at -= 1;
  }
  return sorted.slice(at);
}

function lengthOf(line: LogLine | undefined): number {
  if (line === undefined) return 0;
  const fields = Object.entries(line.fields).reduce((sum, [name, text]) => sum + name.length + text.length, 0);
  return line.message.length + line.logger.length + fields;
}
