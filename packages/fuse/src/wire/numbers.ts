import { FuseError, noEnd, type FuseErrorCode, type FuseTime } from '../fuse-fs.ts';

const high = 0x1_0000_0000;

/** A u64 as a number. Larger than a safe integer: refused with `code`. */
export function readU64(buffer: Buffer, offset: number, code: FuseErrorCode = 'EINVAL'): number {
  const value = buffer.readUInt32LE(offset + 4) * high + buffer.readUInt32LE(offset);
  if (value > Number.MAX_SAFE_INTEGER) throw new FuseError(code, `${value} is not a safe integer.`);
  return value;
}

/** The end of a range: everything that no file reaches is `noEnd`. */
export function readEnd(buffer: Buffer, offset: number): number {
  return Math.min(buffer.readUInt32LE(offset + 4) * high + buffer.readUInt32LE(offset), noEnd);
}

/** Seconds since 1970, which may be negative. */
function readSeconds(buffer: Buffer, offset: number): number {
  const value = buffer.readInt32LE(offset + 4) * high + buffer.readUInt32LE(offset);
  if (!Number.isSafeInteger(value)) throw new FuseError('EINVAL', `${value} is not a time.`);
  return value;
}

export function readTime(buffer: Buffer, secOffset: number, nsecOffset: number): FuseTime {
  const nsec = buffer.readUInt32LE(nsecOffset);
  if (nsec > 999_999_999) throw new FuseError('EINVAL', `${nsec} nanoseconds are more than a second.`);
  return { sec: readSeconds(buffer, secOffset), nsec };
}

/** Throws for what a file system must not return. */
export function writeU64(buffer: Buffer, value: number, offset: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is not a safe, positive integer.`);
  buffer.writeUInt32LE(value % high, offset);
  buffer.writeUInt32LE(Math.floor(value / high), offset + 4);
}

export function writeI64(buffer: Buffer, value: number, offset: number): void {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is not a safe integer.`);
  const rest = value % high;
  buffer.writeUInt32LE(rest < 0 ? rest + high : rest, offset);
  buffer.writeInt32LE(Math.floor(value / high), offset + 4);
}

/** The largest offset of the kernel, which stands for no end. */
export function writeEnd(buffer: Buffer, value: number, offset: number): void {
  if (value < noEnd) {
    writeU64(buffer, value, offset);
    return;
  }
  buffer.writeUInt32LE(0xffff_ffff, offset);
  buffer.writeUInt32LE(0x7fff_ffff, offset + 4);
}

/** A time to live as seconds (u64) and nanoseconds. */
export function writeTtl(buffer: Buffer, ttlMs: number, secOffset: number, nsecOffset: number): void {
  if (!(ttlMs >= 0)) throw new RangeError(`${ttlMs} is not a time to live.`);
  const bounded = Math.min(ttlMs, maxTtlMs);
  writeU64(buffer, Math.floor(bounded / 1000), secOffset);
  buffer.writeUInt32LE(Math.floor((bounded % 1000) * 1_000_000), nsecOffset);
}

/** Far enough for ever, and small enough for jiffies. */
const maxTtlMs = 1000 * 365 * 24 * 3600 * 1000;
