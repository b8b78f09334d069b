import { functionLogLineMax } from '@soulbox/contract/functions';
import type { FunctionLogLine } from '@soulbox/contract/functions';
import type { FunctionLogEntry } from '@soulbox/contract/function-service';
import { z } from 'zod';

/** Limits of one function's log. It is in memory, for viewing and not as an archive. Older lines are dropped first. */
const linesMax = 2000;
const charactersMax = 512 * 1024;

/** Lines come from a sandbox and are not trusted: their size is limited here. */
const lineSchema = z.object({
  seq: z.int().min(1),
  atMs: z.number(),
  level: z.enum(['debug', 'info', 'warn', 'error']),
  source: z.enum(['console', 'request', 'system']),
  message: z.string().transform((text) => text.slice(0, functionLogLineMax + 1)),
});

/** The newest lines of each function's log. */
export interface LogBook {
  /** Takes a line as a sandbox sent it. Repeated and malformed lines are left out. */
  take(functionId: string, sandboxId: string, text: string): void;
  read(functionId: string, after: number, limit: number): FunctionLogEntry[];
  forget(functionId: string): void;
}

interface Book {
  readonly entries: FunctionLogEntry[];
  characters: number;
  cursor: number;
  /** The number of the last line from each sandbox. */
  readonly seen: Map<string, number>;
}

export function createLogBook(): LogBook {
  const books = new Map<string, Book>();
  const bookOf = (functionId: string): Book => {
    const book = books.get(functionId) ?? { entries: [], characters: 0, cursor: 0, seen: new Map<string, number>() };
    books.set(functionId, book);
    return book;
  };
  return {
    take(functionId, sandboxId, text) {
      const line = parseLine(text);
      const book = bookOf(functionId);
      if (line === undefined || line.seq <= (book.seen.get(sandboxId) ?? 0)) return;
      book.seen.set(sandboxId, line.seq);
      if (book.seen.size > 8) book.seen.delete([...book.seen.keys()][0] ?? '');
      book.cursor += 1;
      const { seq: _, ...rest } = line;
      book.entries.push({ ...rest, cursor: book.cursor });
      book.characters += line.message.length;
      while (book.entries.length > linesMax || book.characters > charactersMax)
        book.characters -= book.entries.shift()?.message.length ?? 0;
    },
    read: (functionId, after, limit) =>
      (books.get(functionId)?.entries ?? []).filter((entry) => entry.cursor > after).slice(0, limit),
    forget: (functionId) => void books.delete(functionId),
  };
}

function parseLine(text: string): FunctionLogLine | undefined {
  try {
    return lineSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
