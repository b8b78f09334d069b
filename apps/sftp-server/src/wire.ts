/** Reads the data types of the SFTP protocol (draft-ietf-secsh-filexfer-02). Throws for what is cut off. */
export interface Reader {
  byte(): number;
  u32(): number;
  u64(): number;
  bytes(): Buffer;
}

export function createReader(packet: Buffer): Reader {
  let at = 0;
  const take = (length: number): Buffer => {
    if (length > packet.length - at) throw new Error('The packet is cut off.');
    at += length;
    return packet.subarray(at - length, at);
  };
  const u32 = (): number => take(4).readUInt32BE();
  return {
    byte: () => take(1).readUInt8(),
    u32,
    u64: () => Number(take(8).readBigUInt64BE()),
    bytes: () => take(u32()),
  };
}

export const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};

export const u64 = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(Math.max(0, Math.floor(value))));
  return bytes;
};

export const text = (value: string | Buffer): Buffer => {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([u32(bytes.length), bytes]);
};
