import { crc32 } from 'node:zlib';

/** The CRC-32 of a block that is a value in the metadata: SQLite has no check of its own. */
export function crcOf(data: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32LE(crc32(data));
  return bytes;
}
