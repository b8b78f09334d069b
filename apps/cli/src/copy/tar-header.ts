import { SoulBoxError } from '@soulbox/base';

export const blockBytes = 512;

/** A header block of a tar archive (POSIX.1-1988, with the numbers and long names of GNU tar). */
export interface TarHeader {
  readonly name: Buffer;
  readonly mode: number;
  /** Of what follows the header. */
  readonly size: number;
  /** In seconds. */
  readonly mtime: number;
  readonly type: string;
  readonly linkName: Buffer;
}

/** Undefined for a block of zeros, which ends an archive. Throws `bad_request` for anything else that is no header. */
export function parseTarHeader(block: Buffer): TarHeader | undefined {
  if (block.every((byte) => byte === 0)) return undefined;
  const sum = block.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
  if (readNumber(block, 148, 8) !== sum) throw invalidArchive('a header has a wrong checksum');
  const isGnu = block.subarray(257, 265).toString('latin1') === 'ustar  \0';
  const isUstar = !isGnu && block.subarray(257, 262).toString('latin1') === 'ustar';
  const name = readText(block, 0, 100);
  const prefix = isUstar ? readText(block, 345, 155) : Buffer.alloc(0);
  const type = String.fromCharCode(block[156] ?? 0);
  return {
    name: prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name]),
    mode: readNumber(block, 100, 8) & 0o7777,
    size: readNumber(block, 124, 12),
    mtime: readNumber(block, 136, 12, true),
    type: type === '\0' ? '0' : type,
    linkName: readText(block, 157, 100),
  };
}

function readText(block: Buffer, at: number, length: number): Buffer {
  const field = block.subarray(at, at + length);
  const end = field.indexOf(0);
  return Buffer.from(end === -1 ? field : field.subarray(0, end));
}

/** Octal digits, or GNU's binary form, whose first bit is set and whose second is the sign. */
function readNumber(block: Buffer, at: number, length: number, isSigned = false): number {
  const field = block.subarray(at, at + length);
  const first = field[0] ?? 0;
  if (first < 0x80) {
    const text = field.toString('latin1').replaceAll(/[\0 ]+/g, '');
    if (!/^[0-7]*$/.test(text)) throw invalidArchive('a header has a wrong number');
    return text === '' ? 0 : Number.parseInt(text, 8);
  }
  const bits = BigInt(length * 8 - 2);
  const value = BigInt.asIntN(Number(bits) + 1, BigInt(`0x${field.toString('hex')}`));
  const number = Number(value);
  if (!Number.isSafeInteger(number) || (number < 0 && !isSigned)) throw invalidArchive('a header has a wrong number');
  return number;
}

export function invalidArchive(fault: string): SoulBoxError {
  return new SoulBoxError('bad_request', `The sandbox sent an invalid archive: ${fault}.`);
}
