/** Reads the data types of RFC 4251, section 5. Throws for what is cut off. */
export function createWireReader(source: Uint8Array): {
  byte(): number;
  bytes(): Buffer;
  text(): string;
  /** A `mpint` that is positive and in its only form, without the leading zero. */
  positiveNumber(): Buffer;
  isAtEnd(): boolean;
} {
  const buffer = Buffer.from(source.buffer, source.byteOffset, source.byteLength);
  let at = 0;
  const take = (length: number): Buffer => {
    if (length > buffer.length - at) throw new Error('The data is cut off.');
    at += length;
    return buffer.subarray(at - length, at);
  };
  const bytes = (): Buffer => take(take(4).readUInt32BE());
  return {
    byte: () => take(1).readUInt8(),
    bytes,
    text: () => bytes().toString('latin1'),
    positiveNumber() {
      const number = bytes();
      const [first = 0, second = 0] = number;
      const isMinimal = first > 0 ? first < 0x80 : second >= 0x80;
      if (number.length === 0 || !isMinimal) throw new Error('The number is not in its only form.');
      return first === 0 ? number.subarray(1) : number;
    },
    isAtEnd: () => at === buffer.length,
  };
}
