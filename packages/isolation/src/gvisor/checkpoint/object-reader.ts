import { unknownForm } from './state-file.ts';

/** Kinds of values, by the number that precedes each value (gVisor: pkg/state/wire/wire.go). */
export const kinds = {
  bool: 0,
  int: 1,
  uint: 2,
  float32: 3,
  float64: 4,
  nil: 5,
  ref: 6,
  string: 7,
  slice: 8,
  array: 9,
  map: 10,
  struct: 11,
  noObjects: 12,
  multipleObjects: 13,
  interface: 14,
  complex64: 15,
  complex128: 16,
  type: 17,
} as const;

const specs = { typeId: 0, pointer: 1, array: 2, slice: 3, map: 4, nil: 5 } as const;

/** Their values use no byte: a loop over many of them would not stop at the end of the file. */
const emptyKinds: ReadonlySet<number> = new Set([kinds.nil, kinds.noObjects]);

export interface ObjectReader {
  /** Position of the next byte. */
  readonly at: number;
  /** Exact up to 2^53; a larger number is neither a length nor an id. */
  readUint(): number;
  /** The number of objects that follow. The highest of the 64 bits says that it is not a length in bytes. */
  readObjectCount(): number;
  /** Throws if the next value is of another kind. */
  expect(kind: number): void;
  readString(): string;
  skipValue(): void;
  /** Calls `visit` for each entry of a map at the start of its value, with the value's kind. */
  eachEntry(visit: (valueKind: number) => void): void;
}

/**
 * Reads the objects of a state one after the other. Every number is a varint: seven bits per byte, the lowest first.
 * The input may be anything.
 */
export function createObjectReader(bytes: Buffer, at = 0): ObjectReader {
  const reader: Cursor & ObjectReader = {
    bytes,
    at,
    readUint: () => readUint(reader),
    readObjectCount: () => readObjectCount(reader),
    expect(kind) {
      const found = readUint(reader);
      if (found !== kind) throw unknownForm(`kind ${found} in place of ${kind}`);
    },
    readString: () => readString(reader),
    skipValue: () => skipValue(reader),
    eachEntry: (visit) => eachEntry(reader, visit),
  };
  return reader;
}

interface Cursor {
  readonly bytes: Buffer;
  /** Position of the next byte. */
  at: number;
}

/** Exported for a single number, which needs no reader of its own. */
export function readUint(cursor: Cursor): number {
  let value = 0;
  for (let factor = 1; ; factor *= 128) {
    const byte = cursor.bytes[cursor.at++];
    if (byte === undefined || factor > 2 ** 63) throw unknownForm('a number does not end');
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) return value;
  }
}

function readObjectCount(cursor: Cursor): number {
  let count = 0;
  for (let index = 0; index < 9; index++) {
    const byte = cursor.bytes[cursor.at++] ?? 0;
    if (byte < 0x80) throw unknownForm('something else stands in place of objects');
    count += (byte & 0x7f) * 128 ** index;
  }
  if (cursor.bytes[cursor.at++] !== 1) throw unknownForm('something else stands in place of objects');
  return count;
}

function readString(cursor: Cursor): string {
  const end = endOfString(cursor);
  const text = cursor.bytes.toString('latin1', cursor.at, end);
  cursor.at = end;
  return text;
}

/** Reads the length that precedes a text. */
function endOfString(cursor: Cursor): number {
  const length = readUint(cursor);
  if (length > cursor.bytes.length - cursor.at) throw unknownForm('a text does not end');
  return cursor.at + length;
}

function skipValue(cursor: Cursor): void {
  skipRest(cursor, readUint(cursor));
}

/**
 * The elements of an array, and the keys and values of a map, each have one kind: it is written only before the first.
 */
function skipRest(cursor: Cursor, kind: number): void {
  switch (kind) {
    case kinds.nil:
    case kinds.noObjects:
      return;
    case kinds.bool:
    case kinds.int:
    case kinds.uint:
    case kinds.float32:
    case kinds.float64:
      readUint(cursor);
      return;
    case kinds.complex64:
    case kinds.complex128:
      readUint(cursor);
      readUint(cursor);
      return;
    case kinds.string:
      cursor.at = endOfString(cursor);
      return;
    case kinds.ref:
      skipRef(cursor);
      return;
    case kinds.slice:
      readUint(cursor);
      readUint(cursor);
      skipRef(cursor);
      return;
    case kinds.array:
      skipArray(cursor);
      return;
    case kinds.map:
      eachEntry(cursor, () => undefined);
      return;
    case kinds.struct:
      readUint(cursor);
      skipValue(cursor);
      return;
    case kinds.multipleObjects:
      for (let count = readUint(cursor); count > 0; count--) skipValue(cursor);
      return;
    case kinds.interface:
      skipSpec(cursor);
      skipValue(cursor);
      return;
    default:
      throw unknownForm(`kind ${kind} of a value`);
  }
}

function eachEntry(cursor: Cursor, visit: (valueKind: number) => void): void {
  const length = readUint(cursor);
  if (length === 0) return;
  const keyKind = readUint(cursor);
  skipRest(cursor, keyKind);
  const valueKind = readUint(cursor);
  if (length > 1 && emptyKinds.has(keyKind) && emptyKinds.has(valueKind)) throw unknownForm('a map of nothing');
  for (let index = 0; index < length; index++) {
    if (index > 0) skipRest(cursor, keyKind);
    visit(valueKind);
    skipRest(cursor, valueKind);
  }
}

function skipRef(cursor: Cursor): void {
  readUint(cursor);
  const steps = readUint(cursor);
  for (let step = 0; step < steps; step++) {
    // Signed, with the sign in the lowest bit: an index, or minus the length of a name.
    const word = readUint(cursor);
    if (word % 2 === 1) cursor.at += (word + 1) / 2;
  }
  if (steps > 0) skipSpec(cursor);
}

function skipArray(cursor: Cursor): void {
  const length = readUint(cursor);
  if (length === 0) return;
  const kind = readUint(cursor);
  if (emptyKinds.has(kind)) return;
  for (let index = 0; index < length; index++) skipRest(cursor, kind);
}

function skipSpec(cursor: Cursor): void {
  const spec = readUint(cursor);
  switch (spec) {
    case specs.nil:
      return;
    case specs.typeId:
      readUint(cursor);
      return;
    case specs.pointer:
    case specs.slice:
      skipSpec(cursor);
      return;
    case specs.array:
      readUint(cursor);
      skipSpec(cursor);
      return;
    case specs.map:
      skipSpec(cursor);
      skipSpec(cursor);
      return;
    default:
      throw unknownForm(`kind ${spec} of a type`);
  }
}
