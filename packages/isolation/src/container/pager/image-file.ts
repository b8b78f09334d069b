import { readFileSync } from 'node:fs';

// Our own reader: importing @bufbuild/protobuf takes at least 50 ms of CPU, and the start of a pager is part of a
// resume.

/** Every image since version 1.1 begins with this word, then one for its kind (CRIU: criu/include/magic.h). */
const commonMagic = 0x54564319;
const kinds = { pagemap: 0x56084025, mm: 0x57492820, mounts: 0x55563928 } as const;

export type ImageKind = keyof typeof kinds;

/** The values of one protobuf message by field number, in order. Only integers and messages are needed here. */
export type Message = ReadonlyMap<number, readonly (number | Uint8Array)[]>;

/**
 * Reads a CRIU image: two magic words, then messages, each preceded by its length as a 32-bit little-endian word.
 * Synchronous: the pager has nothing else to do meanwhile. Throws if the file is not of `kind` or is incomplete.
 */
export function readImage(path: string, kind: ImageKind): Message[] {
  return splitImage(readFileSync(path), kind, path).map(parseMessage);
}

/** The encoded messages of an image. Throws like `readImage`. */
export function splitImage(bytes: Buffer, kind: ImageKind, path: string): Buffer[] {
  if (bytes.length < 8 || bytes.readUInt32LE(0) !== commonMagic || bytes.readUInt32LE(4) !== kinds[kind])
    throw new Error(`${path} is not a ${kind} image.`);
  const messages: Buffer[] = [];
  for (let at = 8; at < bytes.length;) {
    const end = at + 4 + (at + 4 <= bytes.length ? bytes.readUInt32LE(at) : Infinity);
    if (end > bytes.length) throw new Error(`${path} ends within a message.`);
    messages.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return messages;
}

/** Decodes one protobuf message (protobuf.dev/programming-guides/encoding). Throws on invalid bytes. */
export function parseMessage(bytes: Uint8Array): Message {
  const fields = new Map<number, (number | Uint8Array)[]>();
  let at = 0;
  const varint = (): number => {
    let value = 0;
    // By multiplication: shifts end at 32 bits. Addresses have at most 47 bits on the architectures that SoulBox runs
    // on.
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error('A message ends within a number.');
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  };
  const skip = (length: number): Uint8Array => {
    at += length;
    if (at > bytes.length) throw new Error('A message ends within a field.');
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = varint();
    const value = readValue(tag % 8, varint, skip);
    const values = fields.get(Math.floor(tag / 8));
    if (values === undefined) fields.set(Math.floor(tag / 8), [value]);
    else values.push(value);
  }
  return fields;
}

function readValue(wireType: number, varint: () => number, skip: (length: number) => Uint8Array): number | Uint8Array {
  switch (wireType) {
    case 0:
      return varint();
    case 1:
      return skip(8);
    case 2:
      return skip(varint());
    case 5:
      return skip(4);
    default:
      throw new Error(`A message has the unknown wire type ${wireType}.`);
  }
}

/** The last value of an integer field, or `otherwise`. */
export function integerOf(message: Message, field: number, otherwise: number): number {
  const value = message.get(field)?.at(-1);
  return typeof value === 'number' ? value : otherwise;
}

/** An integer in protobuf's encoding. */
export function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value >= 0x80; value = Math.floor(value / 0x80)) bytes.push((value % 0x80) | 0x80);
  return [...bytes, value];
}
