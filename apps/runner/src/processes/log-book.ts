import type { Clock } from '@soulbox/base';
import { printable } from '@soulbox/envd-client/printable';
import type { KnownSandbox, SandboxTable } from '../registry/table.ts';
import { createArrivals, parseCursor } from './log-cursor.ts';
import type { ArrivedLine, Arrivals } from './log-cursor.ts';
import type { LogFile, LogFolder, LogLine } from './log-folder.ts';

/**
 * Entries kept of each of the three sources: the runner, envd, and the output of commands. The oldest are removed first.
 * So output displaces no events, and a hostile envd displaces none of the runner.
 */
const maxEntries = 1000;
/** Characters of their texts, together. */
const maxTextLength = 128 * 1024;
/** A longer entry loses its fields, and the rest of its message. */
const maxEntryLength = 16 * 1024;
/** The clock of a sandbox is that of the host. An entry with a later time gets the time at which it was read. */
const clockSlackMs = 5000;
/** Entries of envd are saved at most so often. What a killed runner has not saved, envd still has. */
const saveEveryMs = 5000;
/** Ended sandboxes whose log is still kept, in memory only. */
const maxEnded = 500;

interface Book {
  /** In order of time. */
  lines: LogLine[];
  /** Number of the newest entry that was fetched from envd. */
  envdSeq: number;
  readonly file: LogFile;
  readonly arrivals: Arrivals;
  /** One fetch serves all who read at the same time. */
  fetching: Promise<void> | undefined;
  /** Entries of envd that are not in the file yet. */
  unsaved: LogLine[];
  savedAtMs: number;
  /** The entries of an earlier life of the runner are read when somebody reads the log. */
  loaded: Promise<void> | undefined;
}

/**
 * The log of each sandbox: entries of the runner and of its envd, which sends output of commands if asked to. Entries are fetched from envd when somebody reads the
 * log, so an idle sandbox costs nothing. A log survives a restart of the runner in a file, and ends with its sandbox.
 */
export interface LogBook {
  /** `logger`: the part that writes, by default `runner`. */
  write(sandboxId: string, message: string, fields?: Record<string, string>, logger?: string): void;
  /** Oldest first. Empty for an unknown sandbox. */
  read(sandboxId: string): Promise<LogLine[]>;
  /** What arrived after the cursor, in the order of arrival. Empty cursor: all. Throws `bad_request` for a wrong one. */
  readAfter(sandboxId: string, cursor: string): Promise<ArrivedLine[]>;
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
    const file = folder.fileOf(sandboxId);
    const nothing = { fetching: undefined, loaded: undefined };
    const book: Book = {
      ...{ lines: [], envdSeq: 0, file, unsaved: [], savedAtMs: -Infinity, ...nothing },
      arrivals: createArrivals(),
    };
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
    book.arrivals.note(fresh);
    book.lines = bounded([...book.lines, ...fresh]);
    const kept = new Set(book.lines);
    return fresh.filter((line) => kept.has(line));
  };
  const load = async (book: Book): Promise<readonly LogLine[]> => {
    book.loaded ??= book.file.load().then((lines) => void take(book, lines));
    await book.loaded;
    return book.lines;
  };

  const save = (book: Book, lines: readonly LogLine[]): void => {
    const unsaved = [...book.unsaved, ...lines];
    [book.unsaved, book.savedAtMs] = [[], clock.now()];
    if (unsaved.length > 0) book.file.append(unsaved, async () => await load(book));
  };

  const fetch = async (book: Book, { record, live }: KnownSandbox): Promise<void> => {
    await load(book);
    // A frozen envd would not answer.
    const isAwake = record.state === 'running';
    const fetched = isAwake ? ((await live?.envd.logs(book.envdSeq).catch(() => [])) ?? []) : [];
    book.envdSeq = fetched.reduce((newest, entry) => Math.max(newest, entry.seq), book.envdSeq);
    // Entries from before the claim belong to the rehearsal of the spare.
    const startedAtMs = record.tenant?.startedAtMs ?? 0;
    const now = clock.now();
    const fresh = take(
      book,
      fetched.flatMap((entry) => trusted(entry, { startedAtMs, now })),
    );
    book.unsaved = bounded([...book.unsaved, ...fresh]);
    if (now - book.savedAtMs >= saveEveryMs) save(book, []);
  };

  const update = async (sandboxId: string): Promise<Book | undefined> => {
    const sandbox = table.find(sandboxId);
    if (sandbox === undefined) return books.get(sandboxId);
    const book = bookOf(sandboxId);
    book.fetching ??= fetch(book, sandbox).finally(() => {
      book.fetching = undefined;
    });
    await book.fetching;
    return book;
  };

  return {
    write(sandboxId, message, fields = {}, logger = 'runner') {
      const timestamp = new Date(clock.now()).toISOString();
      const book = bookOf(sandboxId);
      const line: LogLine = { seq: 0, timestamp, level: 'info', logger, message, fields };
      book.lines = bounded([...book.lines, line]);
      book.arrivals.note([line]);
      save(book, [line]);
    },
    async read(sandboxId) {
      return (await update(sandboxId))?.lines ?? [];
    },
    async readAfter(sandboxId, cursor) {
      const place = parseCursor(cursor);
      const book = await update(sandboxId);
      return book?.arrivals.after(book.lines, place) ?? [];
    },
    expectNewEnvd(sandboxId) {
      const book = books.get(sandboxId);
      if (book === undefined) return;
      book.envdSeq = 0;
      save(book, []);
    },
    async remove(sandboxId) {
      await (books.get(sandboxId)?.file ?? folder.fileOf(sandboxId)).remove();
    },
  };
}

/** A new runner fetches the whole log of envd once more. */
const keyOf = ({ seq, timestamp, message }: LogLine): string => `${timestamp} ${seq} ${message}`;

/**
 * An entry of envd, which is hostile. Nothing if it is not one of this life of the sandbox. It has no characters that
 * steer a terminal or begin another line: clients of others print it as it is.
 */
function trusted(entry: LogLine, { startedAtMs, now }: { startedAtMs: number; now: number }): LogLine[] {
  const saidMs = Date.parse(entry.timestamp);
  // 0 marks entries of the runner.
  if (entry.seq < 1 || Number.isNaN(saidMs) || saidMs < startedAtMs) return [];
  const timestamp = new Date(saidMs > now + clockSlackMs ? now : saidMs).toISOString();
  const [logger, message] = [oneLine(entry.logger), oneLine(entry.message)];
  if (lengthOf(entry) > maxEntryLength)
    return [{ ...entry, timestamp, logger, message: message.slice(0, maxEntryLength / 2), fields: {} }];
  const fields = Object.entries(entry.fields).map(([name, text]) => [oneLine(name), printable(text)]);
  return [{ ...entry, timestamp, logger, message, fields: Object.fromEntries(fields) as LogLine['fields'] }];
}

const oneLine = (text: string): string => printable(text).replaceAll('\n', '·');

/** The newest entries of each source within the limits, in order of time. */
function bounded(lines: readonly LogLine[]): LogLine[] {
  const sorted = lines.toSorted((one, other) => Date.parse(one.timestamp) - Date.parse(other.timestamp));
  const left = { runner: room(), envd: room(), output: room() };
  const kept = sorted.toReversed().filter((line) => {
    const of = left[sourceOf(line)];
    of.entries -= 1;
    of.text -= lengthOf(line);
    return of.entries >= 0 && of.text >= 0;
  });
  return kept.reverse();
}

const sourceOf = ({ seq, logger }: LogLine): 'runner' | 'envd' | 'output' =>
  seq === 0 ? 'runner' : logger === 'output' ? 'output' : 'envd';

const room = (): { entries: number; text: number } => ({ entries: maxEntries, text: maxTextLength });

function lengthOf(line: LogLine): number {
  const fields = Object.entries(line.fields).reduce((sum, [name, text]) => sum + name.length + text.length, 0);
  return line.message.length + line.logger.length + fields;
}
