import { randomId, SoulBoxError } from '@soulbox/base';
import type { LogLine } from './log-folder.ts';

export interface ArrivedLine {
  readonly line: LogLine;
  /** Its place in the order of arrival: what followers of the log have read. */
  readonly cursor: string;
}

interface Place {
  /** Of the book that gave the cursor. A new runner has a new one. */
  readonly book: string;
  readonly number: number;
  /** The newest time of all entries up to there. Another book continues with it. */
  readonly atMs: number;
}

const cursorForm = /^([a-z0-9]{8})-(\d{1,15})-(\d{1,15})$/;
const bookIdLength = 8;
const beginning: Place = { book: '', number: 0, atMs: 0 };

/** Empty: the beginning. Throws `bad_request`. */
export function parseCursor(text: string): Place {
  if (text === '') return beginning;
  const [, book = '', number, atMs] = cursorForm.exec(text) ?? [];
  if (number === undefined) throw new SoulBoxError('bad_request', 'The cursor is not one of a log.');
  return { book, number: Number(number), atMs: Number(atMs) };
}

/**
 * The order in which entries of a log arrived. It differs from the order of their times: what a frozen envd wrote
 * arrives after later entries of the runner. A follower that continued by time would miss it.
 */
export interface Arrivals {
  note(lines: readonly LogLine[]): void;
  /** Of these lines, which were all noted, those after the place, in the order of arrival. */
  after(lines: readonly LogLine[], place: Place): ArrivedLine[];
}

export function createArrivals(): Arrivals {
  const book = randomId(bookIdLength);
  const numbers = new WeakMap<LogLine, number>();
  let last = 0;
  const numberOf = (line: LogLine): number => numbers.get(line) ?? 0;
  return {
    note(lines) {
      for (const line of lines) numbers.set(line, (last += 1));
    },
    after(lines, place) {
      const isNew =
        place.book === book
          ? (line: LogLine) => numberOf(line) > place.number
          : (line: LogLine) => Date.parse(line.timestamp) >= place.atMs;
      let { atMs } = place;
      const fresh = lines.filter(isNew).sort((one, other) => numberOf(one) - numberOf(other));
      return fresh.map((line) => {
        atMs = Math.max(atMs, Date.parse(line.timestamp));
        return { line, cursor: `${book}-${numberOf(line)}-${atMs}` };
      });
    },
  };
}
