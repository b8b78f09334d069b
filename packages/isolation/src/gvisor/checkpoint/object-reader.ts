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

/**
 * Reads the objects of a state one after the other. Every number is a varint: seven bits per byte, the lowest first.
 * The input may be anything.
 */
export class ObjectReader {
  readonly #bytes: Buffer;
  /** Position of the next byte. */
  #at: number;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get at(): number {
    return this.#at;
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** Exact up to 2^53; a larger number is neither a length nor an id. */
  readUint(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined || factor > 2 ** 63) throw unknownForm('a number does not end');
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  }

  /** The number of objects that follow. The highest of the 64 bits says that it is not a length in bytes. */
  readObjectCount(): number {
    let count = 0;
    for (let index = 0; index < 9; index++) {
      const byte = this.#bytes[this.#at++] ?? 0;
      if (byte < 0x80) throw unknownForm('something else stands in place of objects');
      count += (byte & 0x7f) * 128 ** index;
    }
    if (this.#bytes[this.#at++] !== 1) throw unknownForm('something else stands in place of objects');
    return count;
  }

  /** Throws if the next value is of another kind. */
  expect(kind: number): void {
    const found = this.readUint();
    if (found !== kind) throw unknownForm(`kind ${found} in place of ${kind}`);
  }

  readString(): string {
    const end = this.#endOfString();
    const text = this.#bytes.toString('latin1', this.#at, end);
    this.#at = end;
    return text;
  }

  /** Reads the length that precedes a text. */
  #endOfString(): number {
    const length = this.readUint();
    if (length > this.#bytes.length - this.#at) throw unknownForm('a text does not end');
    return this.#at + length;
  }

  skipValue(): void {
    this.#skipRest(this.readUint());
  }

  /**
   * The elements of an array, and the keys and values of a map, each have one kind: it is written only before the
   * first.
   */
  #skipRest(kind: number): void {
    switch (kind) {
      case kinds.nil:
      case kinds.noObjects:
        return;
      case kinds.bool:
      case kinds.int:
      case kinds.uint:
      case kinds.float32:
      case kinds.float64:
        this.readUint();
        return;
      case kinds.complex64:
      case kinds.complex128:
        this.readUint();
        this.readUint();
        return;
      case kinds.string:
        this.#at = this.#endOfString();
        return;
      case kinds.ref:
        this.#skipRef();
        return;
      case kinds.slice:
        this.readUint();
        this.readUint();
        this.#skipRef();
        return;
      case kinds.array:
        this.#skipArray();
        return;
      case kinds.map:
        this.eachEntry(() => undefined);
        return;
      case kinds.struct:
        this.readUint();
        this.skipValue();
        return;
      case kinds.multipleObjects:
        for (let count = this.readUint(); count > 0; count--) this.skipValue();
        return;
      case kinds.interface:
        this.#skipSpec();
        this.skipValue();
        return;
      default:
        throw unknownForm(`kind ${kind} of a value`);
    }
  }

  /** Calls `visit` for each entry of a map at the start of its value, with the value's kind. */
  eachEntry(visit: (valueKind: number) => void): void {
    const length = this.readUint();
    if (length === 0) return;
    const keyKind = this.readUint();
    this.#skipRest(keyKind);
    const valueKind = this.readUint();
    if (length > 1 && emptyKinds.has(keyKind) && emptyKinds.has(valueKind)) throw unknownForm('a map of nothing');
    for (let index = 0; index < length; index++) {
      if (index > 0) this.#skipRest(keyKind);
      visit(valueKind);
      this.#skipRest(valueKind);
    }
  }

  #skipRef(): void {
    this.readUint();
    const steps = this.readUint();
    for (let step = 0; step < steps; step++) {
      // Signed, with the sign in the lowest bit: an index, or minus the length of a name.
      const word = this.readUint();
      if (word % 2 === 1) this.#at += (word + 1) / 2;
    }
    if (steps > 0) this.#skipSpec();
  }

  #skipArray(): void {
    const length = this.readUint();
    if (length === 0) return;
    const kind = this.readUint();
    if (emptyKinds.has(kind)) return;
    for (let index = 0; index < length; index++) this.#skipRest(kind);
  }

  #skipSpec(): void {
    const spec = this.readUint();
    switch (spec) {
      case specs.nil:
        return;
      case specs.typeId:
        this.readUint();
        return;
      case specs.pointer:
      case specs.slice:
        this.#skipSpec();
        return;
      case specs.array:
        this.readUint();
        this.#skipSpec();
        return;
      case specs.map:
        this.#skipSpec();
        this.#skipSpec();
        return;
      default:
        throw unknownForm(`kind ${spec} of a type`);
    }
  }
}
