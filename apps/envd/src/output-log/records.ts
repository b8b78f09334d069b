/**
 * The form in which output is kept, in memory and on the disk: records of one stream each. A record is one byte for the
 * stream, four bytes (little-endian) for the length, then the output.
 */
export const headerBytes = 5;

/** 1: standard output, 2: standard errors, 3: terminal. As in soulbox.process.v1.OutputStream. */
export type StreamNumber = 1 | 2 | 3;

export interface RecordHead {
  readonly stream: StreamNumber;
  readonly length: number;
}

/** Undefined if these bytes are not a record that ends at `end` or before. The file may have been changed inside. */
export function readHead(bytes: Buffer, at: number, end = bytes.length): RecordHead | undefined {
  if (at + headerBytes > end) return undefined;
  const stream = bytes.readUInt8(at);
  const length = bytes.readUInt32LE(at + 1);
  if ((stream !== 1 && stream !== 2 && stream !== 3) || length === 0) return undefined;
  return { stream, length };
}

export function writeHead(bytes: Buffer, at: number, stream: StreamNumber, length: number): void {
  bytes.writeUInt8(stream, at);
  bytes.writeUInt32LE(length, at + 1);
}
