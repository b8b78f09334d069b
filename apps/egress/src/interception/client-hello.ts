/** What the beginning of a TLS connection offers. */
export type Hello =
  | { readonly kind: 'incomplete' }
  /** It is not a ClientHello that this parser understands. */
  | { readonly kind: 'unknown' }
  /** The protocols of ALPN (RFC 7301), in the order of preference. Empty: the client has no ALPN. */
  | { readonly kind: 'hello'; readonly protocols: readonly string[] };

/** A ClientHello is a handshake message of this type (RFC 8446, section 4). */
const clientHello = 1;
const handshakeRecord = 22;
const alpnExtension = 16;

/** Reads the ALPN protocols from the first bytes of a TLS connection. The records are hostile. */
export function readHello(bytes: Buffer): Hello {
  const message = readHandshake(bytes);
  if (typeof message === 'string') return { kind: message };
  const reader = createReader(message);
  reader.skip(2 + 32);
  reader.skip(reader.number(1));
  reader.skip(reader.number(2));
  reader.skip(reader.number(1));
  const extensions = createReader(reader.take(reader.number(2)));
  while (extensions.left() > 0) {
    const type = extensions.number(2);
    const body = extensions.take(extensions.number(2));
    if (type === alpnExtension && !extensions.failed()) return { kind: 'hello', protocols: protocolsOf(body) };
  }
  return reader.failed() ? { kind: 'unknown' } : { kind: 'hello', protocols: [] };
}

/** The body of the first handshake message, which may be spread over several records. */
function readHandshake(bytes: Buffer): Buffer | 'incomplete' | 'unknown' {
  const parts: Buffer[] = [];
  let have = 0;
  /** Bytes of the message with its header. Infinity: the header is not complete yet. */
  let wanted = Infinity;
  for (let at = 0; at < bytes.length;) {
    if (bytes[at] !== handshakeRecord) return 'unknown';
    if (at + 5 > bytes.length) return 'incomplete';
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0) return 'unknown';
    const part = bytes.subarray(at + 5, at + 5 + length);
    if (have === 0 && part.length > 0 && part[0] !== clientHello) return 'unknown';
    parts.push(part);
    have += part.length;
    // Joined only twice: a record may carry one byte, and joining at each one would take quadratic time.
    if (wanted === Infinity && have >= 4) wanted = 4 + Buffer.concat(parts).readUIntBE(1, 3);
    if (have >= wanted) return Buffer.concat(parts).subarray(4, wanted);
    at += 5 + length;
  }
  return 'incomplete';
}

function protocolsOf(body: Buffer): string[] {
  const reader = createReader(body);
  reader.skip(2);
  const protocols: string[] = [];
  while (reader.left() > 0 && protocols.length < 32) protocols.push(reader.take(reader.number(1)).toString('latin1'));
  return protocols;
}

interface Reader {
  number(bytes: 1 | 2): number;
  take(bytes: number): Buffer;
  skip(bytes: number): void;
  left(): number;
  /** Whether more was read than there is. Everything read after that is empty. */
  failed(): boolean;
}

function createReader(bytes: Buffer): Reader {
  let at = 0;
  let isOver = false;
  const take = (count: number): Buffer => {
    isOver ||= at + count > bytes.length;
    const taken = isOver ? Buffer.alloc(0) : bytes.subarray(at, at + count);
    at = isOver ? bytes.length : at + count;
    return taken;
  };
  return {
    take,
    skip: (count) => void take(count),
    number: (count) => {
      const taken = take(count);
      return taken.length === 0 ? 0 : taken.readUIntBE(0, count);
    },
    left: () => bytes.length - at,
    failed: () => isOver,
  };
}
