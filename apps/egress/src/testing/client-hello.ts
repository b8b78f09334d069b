/** Writes TLS 1.2/1.3 ClientHellos for tests, byte by byte (RFC 8446, 4.1.2). */
export function helloBytes(options: {
  readonly names?: readonly string[];
  /** Bytes of each record; what is left is in the last one. */
  readonly records?: readonly number[];
  /** Bytes of another extension before the name. */
  readonly padding?: number;
  /** How often the name extension appears. */
  readonly copies?: number;
  readonly nameType?: number;
  readonly hasExtensions?: boolean;
  readonly hasEch?: boolean;
}): Buffer {
  const { names = [], records = [], padding = 0, copies = 1, nameType = 0, hasExtensions = true, hasEch } = options;
  const extension = (type: number, content: Buffer): Buffer => Buffer.concat([number16(type), vector16(content)]);
  const entries = names.map((name) => Buffer.concat([Buffer.from([nameType]), vector16(Buffer.from(name, 'latin1'))]));
  const serverName = extension(0, vector16(Buffer.concat(entries)));
  const extensions = Buffer.concat([
    ...(padding > 0 ? [extension(21, Buffer.alloc(padding))] : []),
    ...(names.length > 0 ? Array.from({ length: copies }, () => serverName) : []),
    ...(hasEch === true ? [extension(0xfe0d, Buffer.alloc(200, 7))] : []),
    extension(43, Buffer.from([2, 3, 4])),
  ]);
  const body = Buffer.concat([
    ...[Buffer.from([3, 3]), Buffer.alloc(32, 9), Buffer.from([0]), vector16(Buffer.from([0x13, 1]))],
    Buffer.from([1, 0]),
    hasExtensions ? vector16(extensions) : Buffer.alloc(0),
  ]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  length[0] = 1;
  const handshake = Buffer.concat([length, body]);
  const parts: Buffer[] = [];
  let at = 0;
  for (const size of records) {
    if (at >= handshake.length) break;
    parts.push(record(handshake.subarray(at, at + size)));
    at += size;
  }
  for (; at < handshake.length; at += 16_384) parts.push(record(handshake.subarray(at, at + 16_384)));
  return Buffer.concat(parts);
}

const record = (content: Buffer): Buffer => Buffer.concat([Buffer.from([22, 3, 1]), vector16(content)]);
const vector16 = (content: Buffer): Buffer => Buffer.concat([number16(content.length), content]);

function number16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}
