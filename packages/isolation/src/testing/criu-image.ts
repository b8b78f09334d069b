// CRIU images in the form that CRIU writes, for tests of the readers. Nothing here uses the tested code.

const commonMagic = 0x54564319;
const magic = { pagemap: 0x56084025, mm: 0x57492820 };

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value % 0x80) | 0x80, ...varint(Math.floor(value / 0x80))];
}

/** A field of a protobuf message with an integer. */
export const field = (number: number, value: number): number[] => [...varint(number * 8), ...varint(value)];

/** A field that is itself a message. */
export const nested = (number: number, bytes: readonly number[]): number[] => [
  ...varint(number * 8 + 2),
  ...varint(bytes.length),
  ...bytes,
];

/** Flags of a page map's entry (CRIU: criu/include/pagemap.h). */
export const pageFlags = { inParent: 1, lazy: 2, present: 4 };

/** An entry of a page map: `pages` saved pages at `address`. */
export const pagesAt = (address: number, pages: number, flags: number): number[] => [
  ...field(1, address),
  ...field(2, 0),
  ...field(4, flags),
  ...field(5, pages),
];

/** The mappings of a process; only their ends matter here. */
export const mappingsTo = (...ends: number[]): number[] =>
  ends.flatMap((end) => nested(14, [...field(1, 0), ...field(2, end)]));

export function criuImage(kind: keyof typeof magic, ...messages: (readonly number[])[]): Buffer {
  const words = (...values: number[]): Buffer => Buffer.from(new Uint32Array(values).buffer);
  const parts = messages.flatMap((message) => [words(message.length), Buffer.from(message)]);
  return Buffer.concat([words(commonMagic, magic[kind]), ...parts]);
}
