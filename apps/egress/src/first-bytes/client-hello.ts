import { normalizeName } from '@soulbox/network/policy';

/** Maximum bytes of a ClientHello, with the headers of its records. Post-quantum key shares need about 2 KiB. */
export const helloMaxBytes = 16 * 1024;

export type ParsedHello =
  /** More bytes are needed. */
  | { readonly state: 'incomplete' }
  /** Not a ClientHello that a server would accept, or one that two programs could read differently. */
  | { readonly state: 'bad' }
  /** `name` is undefined if it names no host. With ECH, it is the outer name. */
  | { readonly state: 'complete'; readonly name: string | undefined };

const incomplete: ParsedHello = { state: 'incomplete' };
const bad: ParsedHello = { state: 'bad' };

// RFC 8446: section 5.1, section 4, section 4.2; RFC 6066: section 3.
const handshakeRecord = 22;
const clientHello = 1;
const serverNameExtension = 0;
const hostName = 0;
const recordMaxBytes = 2 ** 14;
/** Records of one hello. Programs send one to three. With records of one byte, each packet would cost the work of all. */
const recordsMax = 64;

/** Parses the first bytes of a TLS connection up to the server name (SNI). The hello may span several records. */
export function parseClientHello(bytes: Buffer): ParsedHello {
  const joined = joinRecords(bytes);
  if (joined === undefined) return bad;
  const { handshake, isAtEnd } = joined;
  if (handshake.length < 4) return isAtEnd && bytes.length >= helloMaxBytes ? bad : incomplete;
  if (handshake[0] !== clientHello) return bad;
  const length = handshake.readUIntBE(1, 3);
  if (length > helloMaxBytes) return bad;
  if (handshake.length < 4 + length) return bytes.length >= helloMaxBytes ? bad : incomplete;
  return parseBody(handshake.subarray(4, 4 + length));
}

/** The handshake bytes of all records that have begun. Undefined if these are not handshake records. */
function joinRecords(bytes: Buffer): { handshake: Buffer; isAtEnd: boolean } | undefined {
  const parts: Buffer[] = [];
  let wanted = Infinity;
  let have = 0;
  for (let at = 0; at < bytes.length && have < wanted;) {
    if (bytes[at] !== handshakeRecord) return undefined;
    if (at + 1 < bytes.length && bytes[at + 1] !== 3) return undefined;
    if (at + 5 > bytes.length) break;
    const length = bytes.readUInt16BE(at + 3);
    // An empty record carries nothing: RFC 8446, 5.1 forbids it, and it would let a hello be as long as one likes.
    if (length === 0 || length > recordMaxBytes || parts.length >= recordsMax) return undefined;
    const part = bytes.subarray(at + 5, at + 5 + length);
    parts.push(part);
    have += part.length;
    at += 5 + length;
    if (wanted === Infinity && have >= 4) wanted = 4 + Buffer.concat(parts).readUIntBE(1, 3);
  }
  return { handshake: parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts), isAtEnd: true };
}

/** Reads fields with a length in front. Every read past the end makes it `broken`. */
function readerOf(bytes: Buffer): {
  readonly skip: (count: number) => void;
  readonly number: (size: 1 | 2) => number;
  readonly vector: (lengthSize: 1 | 2) => Buffer;
  readonly left: () => number;
  readonly isBroken: () => boolean;
} {
  let at = 0;
  let broken = false;
  const take = (count: number): Buffer => {
    if (at + count > bytes.length) broken = true;
    const taken = broken ? Buffer.alloc(0) : bytes.subarray(at, at + count);
    at = broken ? bytes.length : at + count;
    return taken;
  };
  const number = (size: 1 | 2): number => {
    const taken = take(size);
    return broken ? 0 : taken.readUIntBE(0, size);
  };
  return {
    skip: (count) => void take(count),
    number,
    vector: (lengthSize) => take(number(lengthSize)),
    left: () => bytes.length - at,
    isBroken: () => broken,
  };
}

function parseBody(body: Buffer): ParsedHello {
  const hello = readerOf(body);
  hello.skip(2 + 32);
  hello.vector(1);
  hello.vector(2);
  hello.vector(1);
  if (hello.isBroken()) return bad;
  if (hello.left() === 0) return { state: 'complete', name: undefined };
  const extensions = readerOf(hello.vector(2));
  if (hello.isBroken() || hello.left() > 0) return bad;
  let name: string | undefined;
  let names = 0;
  while (extensions.left() > 0) {
    const type = extensions.number(2);
    const content = extensions.vector(2);
    if (extensions.isBroken()) return bad;
    if (type !== serverNameExtension) continue;
    names += 1;
    name = findServerName(content);
    if (name === undefined || names > 1) return bad;
  }
  return { state: 'complete', name };
}

/** The only entry of the list. Two entries could mean two hosts. */
function findServerName(content: Buffer): string | undefined {
  const extension = readerOf(content);
  const list = readerOf(extension.vector(2));
  const type = list.number(1);
  const text = list.vector(2);
  if (extension.isBroken() || list.isBroken() || extension.left() > 0 || list.left() > 0 || type !== hostName)
    return undefined;
  // Servers compare bytes. Names in other characters would be translated here, and not there.
  return text.every((byte) => byte > 32 && byte < 127) ? normalizeName(text.toString('latin1')) : undefined;
}
