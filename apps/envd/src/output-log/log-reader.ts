import type { OutputLog } from './output-log.ts';
import { outOfRange } from './output-log.ts';
import type { StreamPositions } from './blocks.ts';
import { headerBytes, readHead } from './records.ts';
import type { StreamNumber } from './records.ts';

export interface OutputPart {
  readonly kind: 'output';
  readonly position: number;
  readonly stream: StreamNumber;
  readonly streamPosition: number;
  /** It may be a view, and never changes before the reader is closed. */
  readonly bytes: Uint8Array;
}

/** What a reader gets next. */
export type LogPart =
  | OutputPart
  /** Output in between was dropped before this reader got it. */
  | { readonly kind: 'gap'; readonly from: number; readonly to: number };

export type LogStart =
  | { readonly kind: 'position'; readonly position: number }
  | { readonly kind: 'last'; readonly bytes: number }
  | { readonly kind: 'oldest' }
  | { readonly kind: 'newest' };

/** A position in a log, and nothing else: a log does not know its readers. */
export interface LogReader {
  /** The position of the next byte. */
  readonly position: number;
  /** Parts of together about `maxBytes`. Empty: there is nothing new, wait as one of the log's `listeners`. */
  read(maxBytes: number): readonly LogPart[] | Promise<readonly LogPart[]>;
  /** What it returned must not be used any more. */
  close(): void;
}

/** A part of at most this size is a copy. Otherwise each slow reader of small parts would hold a block of its own. */
const copiedBytes = 16 * 1024;

/** The place of the record that contains the next byte, and how much of the record has been read. */
interface Cursor {
  recordPlace: number;
  consumed: number;
  position: number;
  streamPositions: StreamPositions;
}

/** Throws position_out_of_range for a position beyond the end. */
export async function openLogReader(log: OutputLog, start: LogStart): Promise<LogReader> {
  const cursor = await findCursor(log, startPosition(log, start));
  log.addReader();
  return {
    get position() {
      return cursor.position;
    },
    read: (maxBytes) => read(log, cursor, maxBytes),
    close: () => log.removeReader(),
  };
}

function startPosition(log: OutputLog, start: LogStart): number {
  if (start.kind === 'oldest') return log.oldest;
  if (start.kind === 'newest') return log.end;
  if (start.kind === 'last') return Math.max(log.oldest, log.end - start.bytes);
  if (start.position > log.end) throw outOfRange(start.position, log.end);
  return start.position;
}

async function findCursor(log: OutputLog, position: number): Promise<Cursor> {
  const block = log.blockAt('position', position);
  if (block === undefined) return position >= log.end ? endCursor(log) : beforeCursor(position);
  const { place, length } = block;
  const bytes = block.bytes?.subarray(0, length) ?? (await log.readFile(place, length));
  if (bytes === undefined) return beforeCursor(position);
  const streamPositions: StreamPositions = [...block.streamPositions];
  let at = 0;
  let start = block.position;
  for (let head = readHead(bytes, at); head !== undefined; head = readHead(bytes, at)) {
    const consumed = Math.min(position - start, head.length);
    advance(streamPositions, head.stream, consumed);
    if (position < start + head.length) return { recordPlace: place + at, consumed, position, streamPositions };
    start += head.length;
    at += headerBytes + head.length;
  }
  log.lose(place);
  return beforeCursor(position);
}

/** The next append may extend the last record instead of beginning one. */
function endCursor(log: OutputLog): Cursor {
  const { openRecord } = log;
  const common = { position: log.end, streamPositions: [...log.streamEnds] satisfies StreamPositions };
  if (openRecord === undefined) return { ...common, recordPlace: log.endPlace, consumed: 0 };
  return { ...common, recordPlace: openRecord.place, consumed: openRecord.length };
}

/** Before everything that is kept, so that the first read finds the gap. */
function beforeCursor(position: number): Cursor {
  return { recordPlace: -1, consumed: 0, position, streamPositions: [0, 0, 0] };
}

function read(log: OutputLog, cursor: Cursor, maxBytes: number): readonly LogPart[] | Promise<readonly LogPart[]> {
  while (cursor.position < log.end) {
    const gap = skipDropped(log, cursor);
    if (gap !== undefined) return [gap];
    const block = log.blockAt('place', cursor.recordPlace);
    if (block === undefined) return [];
    if (block.bytes === undefined) return readFromFile(log, cursor, maxBytes);
    const parts = parse(log, cursor, { bytes: block.bytes.subarray(0, block.length), place: block.place, maxBytes });
    if (parts.length > 0) return parts;
  }
  return [];
}

async function readFromFile(log: OutputLog, cursor: Cursor, maxBytes: number): Promise<readonly LogPart[]> {
  const block = log.blockAt('place', cursor.recordPlace);
  if (block === undefined) return [];
  const place = cursor.recordPlace;
  const length = Math.min(log.diskEndPlace - place, headerBytes + cursor.consumed + maxBytes);
  const bytes = await log.readFile(place, length);
  if (bytes !== undefined) {
    const parts = parse(log, cursor, { bytes, place, maxBytes });
    if (parts.length > 0) return parts;
    // Not a record: the file was changed inside the sandbox.
    if (cursor.recordPlace === place) log.lose(block.place);
  }
  return await read(log, cursor, maxBytes);
}

/** Moves the cursor to the oldest output, if what it points to was dropped. */
function skipDropped(log: OutputLog, cursor: Cursor): LogPart | undefined {
  const first = log.firstBlock;
  const [place, position] = first === undefined ? [log.endPlace, log.end] : [first.place, first.position];
  if (cursor.recordPlace >= place) return undefined;
  const from = cursor.position;
  Object.assign(cursor, {
    recordPlace: place,
    consumed: 0,
    position,
    streamPositions: [...(first?.streamPositions ?? log.streamEnds)],
  });
  return from < position ? { kind: 'gap', from, to: position } : undefined;
}

/** Reads records from the cursor on, and moves it. */
function parse(
  log: OutputLog,
  cursor: Cursor,
  { bytes, place, maxBytes }: { bytes: Buffer; place: number; maxBytes: number },
): LogPart[] {
  const parts: LogPart[] = [];
  let room = maxBytes;
  for (;;) {
    const at = cursor.recordPlace - place;
    const head = readHead(bytes, at);
    if (head === undefined || room <= 0) return parts;
    const from = at + headerBytes + cursor.consumed;
    const length = Math.min(head.length - cursor.consumed, room, bytes.length - from);
    if (length > 0) {
      const { stream } = head;
      const streamPosition = cursor.streamPositions[stream - 1] ?? 0;
      const view = bytes.subarray(from, from + length);
      const part = length <= copiedBytes ? Buffer.from(view) : view;
      parts.push({ kind: 'output', position: cursor.position, stream, streamPosition, bytes: part });
      cursor.consumed += length;
      cursor.position += length;
      advance(cursor.streamPositions, stream, length);
      room -= length + headerBytes;
    }
    const next = cursor.recordPlace + headerBytes + head.length;
    // The last record of the log may grow, so the cursor stays on it.
    if (cursor.consumed < head.length || next >= log.endPlace) return parts;
    cursor.recordPlace = next;
    cursor.consumed = 0;
  }
}

function advance(positions: StreamPositions, stream: StreamNumber, bytes: number): void {
  positions[stream - 1] = (positions[stream - 1] ?? 0) + bytes;
}
